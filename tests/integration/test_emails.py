"""Mail as a job of its own: over HTTP, through a real mail server, at most once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumers.email.flow import flow as email
from consumers.notify.post import CHANNEL
from consumers.submit import submit
from schemas.jobs import JobRequest
from streams.overrides import Override, Overrides
from tests.support.api_place import ApiPlace, api_place, until
from tests.support.chaos_local import here
from tests.support.postbox import Postbox, open_postbox

ANN, BOB = "ann@example.com", "bob@example.com"
MAIL: dict[str, Any] = {"to": [ANN], "subject": "Hello <you>", "text": "Good morning <b>.\n\nSee you,\nMillrace"}


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    async with open_postbox() as postbox:
        yield postbox


@pytest.fixture
async def place(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path, postbox: Postbox, tenant: str
) -> AsyncIterator[ApiPlace]:
    opened = api_place(valkey_url, store_url, namespace, tmp_path, more=[email], **postbox.settings)
    async with opened as running:
        await running.become(tenant)
        await Overrides(running.services.client, running.services.keys).set("mail", Override(1_000))
        yield running


async def sent(place: ApiPlace, **mail: Any) -> dict[str, Any]:
    """The job of a mail, ended."""
    answer = await place.call("POST", "emails", {**MAIL, **mail})
    assert answer.status == 202, answer.body
    assert answer.body["flow"] == "email"
    return await place.ended(answer.body["job_id"])


async def result(place: ApiPlace, job: dict[str, Any]) -> dict[str, Any]:
    answer = await place.call("GET", f"jobs/{job['job_id']}/result")
    found: dict[str, Any] = answer.body["result"]
    return found


async def test_each_addressee_gets_a_mail_of_their_own(place: ApiPlace, postbox: Postbox) -> None:
    async with place.worker():
        job = await sent(place, to=[ANN, BOB, ANN.upper(), ANN], reply_to="desk@example.com")
    assert job["status"] == "succeeded"
    assert sorted(mail["To"] for mail in postbox.mails) == [ANN, BOB]
    assert len({mail["Message-ID"] for mail in postbox.mails}) == 2
    assert {mail["Reply-To"] for mail in postbox.mails} == {"desk@example.com"}
    assert {mail["Subject"] for mail in postbox.mails} == {"Hello <you>"}
    assert postbox.text().startswith("Good morning <b>.")
    page = postbox.text(kind="html")
    assert "Good morning &lt;b&gt;." in page
    assert "See you,<br>Millrace" in page
    assert sorted((await result(place, job))["sent"]) == [ANN, BOB]
    shown = (await place.call("GET", "emails?limit=1")).body
    rest = (await place.call("GET", f"emails?cursor={shown['next']}&status=sent")).body
    assert {one["to"] for one in [*shown["items"], *rest["items"]]} == {ANN, BOB}
    assert {one["status"] for one in [*shown["items"], *rest["items"]]} == {"sent"}


async def test_the_same_key_is_the_same_mail(place: ApiPlace, postbox: Postbox) -> None:
    headers = {"Idempotency-Key": "one"}
    async with place.worker():
        first = await place.call("POST", "emails", MAIL, headers=headers)
        again = await place.call("POST", "emails", MAIL, headers=headers)
        assert first.body["job_id"] == again.body["job_id"]
        await place.ended(first.body["job_id"])
    assert len(postbox.mails) == 1


async def test_html_alone_has_words_for_readers_without(place: ApiPlace, postbox: Postbox) -> None:
    page = "<html><head><title>t</title></head><body><p>Good</p><script>x()</script><p>morning</p></body></html>"
    async with place.worker():
        answer = await place.call("POST", "emails", {"to": [ANN], "subject": "x", "html": page})
        await place.ended(answer.body["job_id"])
    assert postbox.text().split() == ["Good", "morning"]
    assert "<script>" in postbox.text(kind="html")


async def test_all_mail_shares_one_limit(place: ApiPlace, postbox: Postbox) -> None:
    await Overrides(place.services.client, place.services.keys).set("mail", Override(2, 1.0))
    async with place.worker():
        job = await sent(place, to=[ANN, BOB])
    assert job["status"] == "succeeded"
    assert len(postbox.mails) == 2
    events = await place.services.log.lifecycle(job["job_id"])
    (snoozed,) = [row for _, row in events if row["type"] == "snoozed"]
    assert snoozed["reason"] == "waiting for limit mail"
    assert job["attempts"] == 1


async def test_a_mailbox_that_is_not_there_is_suppressed_from_then_on(place: ApiPlace, postbox: Postbox) -> None:
    postbox.refused = {ANN: "550 5.1.1 no such mailbox"}
    async with place.worker():
        job = await sent(place, to=[ANN, BOB])
        assert job["status"] == "partial"
        found = await result(place, job)
        assert (found["sent"], found["refused"]) == ([BOB], [ANN])
        (row,) = (await place.call("GET", "emails/suppressions")).body["items"]
        assert (row["address"], row["reason"]) == (ANN, "bounced")
        assert "550" in row["detail"]

        postbox.refused = {}
        job = await sent(place)
        assert (job["status"], job["error"]) == ("failed", "not_sent")
        assert [mail["To"] for mail in postbox.mails] == [BOB]
        (failed,) = [one for one in (await place.call("GET", "emails?status=failed")).body["items"]
                     if one["job_id"] == job["job_id"]]  # fmt: skip
        assert "is suppressed" in failed["error"]

        assert (await place.call("DELETE", f"emails/suppressions/{ANN}")).status == 204
        assert (await place.call("DELETE", f"emails/suppressions/{ANN}")).status == 404
        assert (await sent(place))["status"] == "succeeded"


@pytest.mark.parametrize("answer", ["552 mailbox full", "452 later"])
async def test_a_full_mailbox_is_not_suppressed(place: ApiPlace, postbox: Postbox, answer: str) -> None:
    postbox.refused = {ANN: answer}
    async with place.worker() as worker:
        answered = await place.call("POST", "emails", MAIL)
        if answer.startswith("552"):
            assert (await place.ended(answered.body["job_id"]))["status"] == "failed"
        else:
            await _until_retried(place, answered.body["job_id"])
        assert (await place.call("GET", "emails/suppressions")).body["items"] == []
        assert not worker.crashed


async def _until_retried(place: ApiPlace, job_id: str) -> None:

    async def is_retried() -> bool:
        return any(row["type"] == "retried" for _, row in await place.services.log.lifecycle(job_id))

    await until(is_retried)


async def test_addresses_are_suppressed_and_let_go_by_hand(place: ApiPlace, postbox: Postbox) -> None:
    added = await place.call("POST", "emails/suppressions", {"address": "Ann@Example.com", "reason": "asked for it"})
    assert (added.status, added.body) == (201, {"address": ANN, "added": True})
    assert (await place.call("POST", "emails/suppressions", {"address": ANN})).status == 200
    async with place.worker():
        assert (await sent(place))["status"] == "failed"
    assert postbox.mails == []
    await place.become("another")
    assert (await place.call("GET", "emails/suppressions")).body["items"] == []
    assert (await place.call("DELETE", f"emails/suppressions/{ANN}")).status == 404
    assert (await place.call("GET", "emails")).body["items"] == []


async def test_what_a_dead_worker_began_may_have_been_sent(place: ApiPlace, postbox: Postbox, tenant: str) -> None:
    """Its record says begun, and nobody knows more: reported, not sent again, not dropped."""
    job_id = f"0-{tenant}"
    begun = await place.services.store.deliveries.begin(
        f"{job_id}/2", tenant=tenant, job_id=job_id, revision=1, channel=CHANNEL, target=ANN
    )
    assert begun.status == "pending"
    (row,) = (await place.call("GET", "emails")).body["items"]
    assert row["status"] == "sending"
    async with place.worker():
        await place.call("POST", "jobs", {"flow": "email", "spec": {**MAIL, "to": [ANN, BOB]}, "job_id": job_id})
        job = await place.ended(job_id)
    assert job["status"] == "partial"
    found = await result(place, job)
    assert (found["sent"], found["may_have_been_sent"]) == ([BOB], [ANN])
    assert "may have been sent before" in found["missing"][0]
    assert [mail["To"] for mail in postbox.mails] == [BOB]
    (row,) = (await place.call("GET", "emails?status=may_have_been_sent")).body["items"]
    assert row["to"] == ANN
    assert "not sent again" in row["error"]


async def test_a_worker_that_is_given_up_while_it_sends_has_perhaps_sent_it(
    valkey_url: str, store_url: str, namespace: str, postbox: Postbox
) -> None:
    postbox.answers = ["2 hold"]
    async with here(valkey_url, namespace, email, store_url=store_url, **postbox.settings) as place:
        first = await place.start()
        job = (await submit(place.log, place.flows, JobRequest(flow="email", spec=MAIL))).job_id
        await postbox.has_one.wait()
        await first._stop_taking()
        await place.start()
        assert await place.disown(first) == 1
        record = await place.ended(job)
        assert record.status == "partial"
        (delivery,) = await place.resources.store.deliveries.of(job, tenant="default")
        assert (delivery.status, delivery.attempts) == ("unknown", 2)
        assert len(postbox.mails) == 1


async def test_a_server_that_hangs_up_has_perhaps_sent_it(place: ApiPlace, postbox: Postbox) -> None:
    postbox.answers = ["drop"]
    async with place.worker():
        job = await sent(place)
    assert len(postbox.mails) == 1
    assert job["status"] == "partial"
    assert (await result(place, job))["may_have_been_sent"] == [ANN]


async def test_a_mail_that_failed_for_a_setting_is_sent_by_a_retry(place: ApiPlace, postbox: Postbox) -> None:
    postbox.answers = ["554 not from you"]
    async with place.worker():
        job = await sent(place)
        assert job["status"] == "failed"
        assert (await place.call("POST", f"jobs/{job['job_id']}/retry")).status == 202

        async def has_it() -> bool:
            return len(postbox.mails) == 1

        await until(has_it)


@pytest.mark.parametrize(
    ("mail", "field"),
    [
        ({"to": []}, "to"),
        ({"to": ["nobody"]}, "to.0"),
        ({"to": ["a@b\r\nBcc: c@d"]}, "to.0"),
        ({"subject": "x\r\nBcc: c@d"}, "subject"),
        ({"text": None}, "body"),
        ({"cc": [BOB]}, "cc"),
    ],
)
async def test_what_is_no_mail_is_refused(place: ApiPlace, mail: dict[str, Any], field: str) -> None:
    answer = await place.call("POST", "emails", {**MAIL, **mail})
    assert (answer.status, answer.fields[0]) == (422, field)
    assert (await place.call("GET", f"emails?cursor={datetime.now(UTC):%Y}")).status == 422
