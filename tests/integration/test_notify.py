"""Who is told of a job's end, and how often: real receivers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP
from standardwebhooks import Webhook

from consumers.context import StageContext
from consumers.flow import Flow
from consumers.noop import flow as noop
from consumers.outcome import Done, Outcome, Reject
from consumers.stage import stage
from consumers.store import upgrade
from schemas.jobs import Asked
from schemas.stages import CompileRequest, Payload
from streams.record import JobRecord
from tests.support.flow_place import TENANT, Place, place

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TO = "reader@example.com"


class Spec(Asked):
    fails: bool = False


class Page(Payload):
    fails: bool = False


@stage(name="crawl", accepts=Page)
async def crawl(page: Page, _: StageContext) -> Outcome:
    return Reject("http_404", "the site has no such page <b>at all</b>") if page.fails else Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_it(_: CompileRequest, __: StageContext) -> Outcome:
    return Done(missing=("a thing",))


FLOW = Flow("short", Spec, (crawl, compile_it), lambda spec: Page(fails=spec.fails))


class Open(Protocol):
    async def __call__(self, **settings: Any) -> Place: ...


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def open_place(valkey_url: str, database_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> Place:
            running = place(valkey_url, database_url, tmp_path, flow=FLOW, namespace=namespace, **settings)
            return await stack.enter_async_context(running)

        yield opened


@dataclass
class Receiver:
    """Takes webhooks and answers as told, 200 at the end."""

    answers: list[int] = field(default_factory=list)
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def allow(self) -> tuple[str, ...]:
        return (f"127.0.0.1:{self.port}",)

    async def take(self, request: web.Request) -> web.Response:
        self.posts.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    await runner.cleanup()


class Postbox:
    """Takes mails and answers as told, 250 at the end; "drop" takes one and hangs up."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.mails: list[EmailMessage] = []
        self.settings: dict[str, str] = {}

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer[0] in "2d":
            mail = message_from_bytes(envelope.content, policy=modern)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        if answer == "drop":
            server.transport.abort()
        return answer


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    postbox = Postbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(postbox), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    postbox.settings = {"smtp_url": f"smtp://127.0.0.1:{port}", "mail_from": "Millrace <millrace@example.com>"}
    async with server:
        yield postbox


async def outcomes(here: Place, job_id: str) -> list[dict[str, str]]:
    rows = await here.worker.client.xrange(here.worker.keys.outcomes)
    events = [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in rows]
    return [event for event in events if event["subject"] == job_id]


async def deliveries(here: Place, record: JobRecord) -> dict[str, tuple[str, int]]:
    kept = await here.store.deliveries.of(record.job_id, tenant=TENANT)
    return {one.channel: (one.status, one.attempts) for one in kept}


async def test_each_addressee_is_told_once(open_place: Open, receiver: Receiver, postbox: Postbox) -> None:
    here = await open_place(allow_hosts=receiver.allow, webhook_secret=SECRET, **postbox.settings)
    record = await here.run(notify={"webhook": receiver.url, "email": [TO]})
    assert (record.status, record.number("notify.done")) == ("partial", 1)
    assert await deliveries(here, record) == {"webhook": ("sent", 1), "mail": ("sent", 1)}

    ((headers, body),) = receiver.posts
    told = Webhook(SECRET).verify(body, headers)
    assert (told["type"], told["data"]["job_id"], told["data"]["missing"]) == ("millrace.job.partial", record.job_id, 1)
    assert headers["traceparent"].split("-")[1] == record.trace_id

    (mail,) = postbox.mails
    assert (mail["To"], mail["From"]) == (TO, "Millrace <millrace@example.com>")
    assert mail["Subject"] == f"Millrace: short job {record.job_id} is done, with something missing"
    assert mail["Message-ID"].endswith("@example.com>")
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert f"millrace result {record.job_id}" in text.get_content()
    assert page is not None
    assert record.job_id in page.get_content()

    (event,) = await outcomes(here, record.job_id)
    assert (event["specversion"], event["type"], event["id"]) == ("1.0", "millrace.job.partial", f"{record.job_id}/1")
    data = orjson.loads(event["data"])
    assert (data["status"], data["flow"], data["trace_id"]) == ("partial", "short", record.trace_id)
    assert data == told["data"]


async def test_a_failure_is_told_with_its_reason(open_place: Open, postbox: Postbox) -> None:
    here = await open_place(**postbox.settings)
    record = await here.run(fails=True, notify={"email": [TO, "other@example.com"]})
    assert record.status == "failed"
    assert {mail["To"] for mail in postbox.mails} == {TO, "other@example.com"}
    assert len({mail["Message-ID"] for mail in postbox.mails}) == 2
    text, page = postbox.mails[0].get_body(("plain",)), postbox.mails[0].get_body(("html",))
    assert text is not None
    assert "Reason: http_404." in text.get_content()
    assert "crawl: the site has no such page <b>at all</b>" in text.get_content()
    assert page is not None
    assert "&lt;b&gt;at all&lt;/b&gt;" in page.get_content()
    (event,) = await outcomes(here, record.job_id)
    assert (event["type"], orjson.loads(event["data"])["error"]) == ("millrace.job.failed", "http_404")


async def test_a_webhook_is_tried_again_under_the_same_id(open_place: Open, receiver: Receiver) -> None:
    receiver.answers = [503, 500]
    here = await open_place(allow_hosts=receiver.allow, webhook_secret=SECRET)
    record = await here.run(notify={"webhook": receiver.url})
    assert len(receiver.posts) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 1
    assert len({body for _, body in receiver.posts}) == 1
    assert await deliveries(here, record) == {"webhook": ("sent", 3)}
    assert len(await outcomes(here, record.job_id)) == 1


@pytest.mark.parametrize("answer", [403, 410])
async def test_a_webhook_that_is_refused_leaves_the_job_as_it_is(
    open_place: Open, receiver: Receiver, answer: int
) -> None:
    receiver.answers = [answer]
    here = await open_place(allow_hosts=receiver.allow, webhook_secret=SECRET)
    record = await here.run(notify={"webhook": receiver.url})
    assert (record.status, record.number("dead"), len(receiver.posts)) == ("partial", 0, 1)
    (kept,) = await here.store.deliveries.of(record.job_id, tenant=TENANT)
    assert kept.status == "failed"
    assert f"HTTP {answer}" in (kept.last_error or "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"webhook_secret": SECRET}, "MILLRACE_ALLOW_HOSTS"),
        ({"allow_hosts": ("127.0.0.0/8",)}, "MILLRACE_WEBHOOK_SECRET"),
        ({"allow_hosts": ("127.0.0.0/8",), "webhook_secret": "whsec_?"}, "MILLRACE_WEBHOOK_SECRET"),
    ],
)
async def test_what_cannot_be_sent_says_what_to_set(
    open_place: Open, receiver: Receiver, settings: dict[str, Any], said: str
) -> None:
    here = await open_place(**settings)
    record = await here.run(notify={"webhook": receiver.url, "email": [TO]})
    kept = {one.channel: one for one in await here.store.deliveries.of(record.job_id, tenant=TENANT)}
    assert {one.status for one in kept.values()} == {"failed"}
    assert said in (kept["webhook"].last_error or "")
    assert "MILLRACE_SMTP_URL" in (kept["mail"].last_error or "")
    assert not receiver.posts
    assert record.status == "partial"


async def test_a_deferred_mail_is_sent_later_and_once(open_place: Open, postbox: Postbox) -> None:
    postbox.answers = ["451 try later"]
    here = await open_place(**postbox.settings)
    record = await here.run(notify={"email": [TO]})
    assert len(postbox.mails) == 1
    assert await deliveries(here, record) == {"mail": ("sent", 2)}


async def test_a_refused_mail_is_not_tried_again(open_place: Open, postbox: Postbox) -> None:
    postbox.answers = ["554 no"]
    here = await open_place(**postbox.settings)
    record = await here.run(notify={"email": [TO]})
    assert not postbox.mails
    assert await deliveries(here, record) == {"mail": ("failed", 1)}


async def test_a_mail_that_may_have_been_sent_is_not_sent_again(
    open_place: Open, postbox: Postbox, receiver: Receiver
) -> None:
    postbox.answers = ["drop"]
    receiver.answers = [500]  # so that notify runs a second time
    here = await open_place(allow_hosts=receiver.allow, webhook_secret=SECRET, **postbox.settings)
    record = await here.run(notify={"email": [TO], "webhook": receiver.url})
    assert len(postbox.mails) == 1
    (mail,) = [one for one in await here.store.deliveries.of(record.job_id, tenant=TENANT) if one.channel == "mail"]
    assert mail.status == "unknown"
    assert (await deliveries(here, record))["webhook"] == ("sent", 2)


async def test_the_flow_that_does_nothing_is_published_too(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    async with place(valkey_url, None, tmp_path, flow=noop, namespace=namespace) as here:
        record = await here.run()
        (event,) = await outcomes(here, record.job_id)
    assert event["type"] == "millrace.job.succeeded"


async def test_a_job_that_names_nobody_is_still_published(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    async with place(valkey_url, None, tmp_path, flow=FLOW, namespace=namespace) as here:
        record = await here.run()
        (event,) = await outcomes(here, record.job_id)
    assert event["type"] == "millrace.job.partial"
    assert event["source"] == f"/{namespace}"
