"""SendGrid's HTTP API, as a server on loopback speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from consumers.net.fetch import Fetcher, FetcherConfig
from consumers.notify.mail import Mail, MaybeSent, sender_of
from consumers.notify.sendgrid import SendGrid
from schemas.settings import Settings
from streams.errors import PermanentError, TransientError

KEY = "SG.invented"
MAIL = Mail(
    "0-a/2", "ann@example.com", "Millrace <mill@example.com>", "Hello", "Good morning", "<p>Good morning</p>",
    datetime(2026, 1, 1, tzinfo=UTC), "desk@example.com",
)  # fmt: skip


@dataclass
class Api:
    """Answers as told, 202 at the end; 0 hangs up."""

    answers: list[int] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"errors": [{"message": "authorization required"}]}, status=401)
        answer = self.answers.pop(0) if self.answers else 202
        self.bodies.append(await request.json())
        if answer == 0:
            assert request.transport is not None
            request.transport.abort()
        headers = {"Retry-After": "7"} if answer == 429 else {"X-Message-Id": "abc"}
        return web.Response(status=answer or 200, headers=headers)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    app = web.Application()
    app.router.add_post("/v3/mail/send", api.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api
    await runner.cleanup()


@pytest.fixture
async def fetch() -> AsyncIterator[Fetcher]:
    async with Fetcher(FetcherConfig(allow_hosts=("127.0.0.0/8", "127.0.0.1:1"))) as fetch:
        yield fetch


async def test_a_mail_is_what_the_api_wants(api: Api, fetch: Fetcher) -> None:
    settings = Settings(sendgrid_api_key=SecretStr(KEY), sendgrid_url=api.url, mail_from="mill@example.com")
    sender = sender_of(settings, fetch)
    await sender.send(MAIL)
    (body,) = api.bodies
    assert body == {
        "personalizations": [{"to": [{"email": "ann@example.com"}]}],
        "from": {"email": "mill@example.com", "name": "Millrace"},
        "reply_to": {"email": "desk@example.com"},
        "subject": "Hello",
        "content": [
            {"type": "text/plain", "value": "Good morning"},
            {"type": "text/html", "value": "<p>Good morning</p>"},
        ],
        "headers": {"Message-ID": MAIL.message_id, "Auto-Submitted": "auto-generated"},
    }
    assert MAIL.message_id.endswith("@example.com>")


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (429, TransientError, "did not take the mail"),
        (503, TransientError, "did not take the mail"),
        (500, MaybeSent, "may arrive"),
        (502, MaybeSent, "may arrive"),
        (0, MaybeSent, "may arrive"),
        (400, PermanentError, "activity feed"),
        (403, PermanentError, "MILLRACE_MAIL_FROM"),
    ],
)
async def test_what_an_answer_means(api: Api, fetch: Fetcher, answer: int, error: type[Exception], said: str) -> None:
    api.answers = [answer]
    with pytest.raises(error, match=said) as raised:
        await SendGrid(api.url, SecretStr(KEY), fetch).send(MAIL)
    assert KEY not in str(raised.value)
    if answer == 429:
        assert isinstance(raised.value, TransientError)
        assert raised.value.retry_after_s == 7


async def test_a_wrong_key_and_a_server_that_is_not_there(api: Api, fetch: Fetcher) -> None:
    with pytest.raises(PermanentError, match="MILLRACE_SENDGRID_API_KEY"):
        await SendGrid(api.url, SecretStr("other"), fetch).send(MAIL)
    with pytest.raises(TransientError, match="did not take the mail"):
        await SendGrid("http://127.0.0.1:1", SecretStr(KEY), fetch).send(MAIL)
