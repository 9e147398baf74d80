"""The Python client against a real API."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from api.client import (
    AsyncMillrace,
    Conflict,
    Forbidden,
    Invalid,
    JobEvent,
    Millrace,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from api.keys import ApiKeys
from tests.support.api_place import ApiPlace

if TYPE_CHECKING:
    from schemas.jobs import JobView


async def test_a_job_from_submission_to_result(place: ApiPlace) -> None:
    async with AsyncMillrace(place.url) as millrace, place.worker():
        job = await millrace.submit("probe", {"say": "hi"}, priority="high")
        events = [event async for event in millrace.stream(job.job_id)]
        assert (events[0].type, events[-1].type) == ("submitted", "end")
        assert events[-1].data["status"] == "succeeded"
        assert (await millrace.wait(job.job_id)).status == "succeeded"
        assert (await millrace.get(job.job_id)).priority == "high"
        assert (await millrace.result(job.job_id))["result"] == {"said": ["hi", "two"]}
        rest = [event async for event in millrace.stream(job.job_id, after=events[2].id)]
        assert rest == events[3:]


async def test_refusals_are_errors_with_their_fields(place: ApiPlace) -> None:
    async with AsyncMillrace(place.url) as millrace:
        with pytest.raises(Invalid) as refused:
            await millrace.submit("probe", {"colour": "red"})
        assert [error["field"] for error in refused.value.errors] == ["spec.colour"]
        assert (refused.value.status, refused.value.type) == (422, "/problems/invalid-request")
        for call in (millrace.get, millrace.wait, millrace.result, millrace.cancel, millrace.retry):
            with pytest.raises(NotFound, match="0-nothing"):
                await call("0-nothing")
        with pytest.raises(NotFound):
            await anext(millrace.stream("0-nothing"))
        job = await millrace.submit("probe", {})
        with pytest.raises(NotFound, match="no result"):
            await millrace.result(job.job_id)
        with pytest.raises(TimeoutError, match="queued"):
            await millrace.wait(job.job_id, timeout_s=0.05)
        assert (await millrace.cancel(job.job_id)).status == "cancelled"
        with pytest.raises(Conflict):
            await millrace.cancel(job.job_id)
        with pytest.raises(Conflict):
            await millrace.retry(job.job_id)


async def test_an_idempotency_key_makes_two_sends_one_job(place: ApiPlace) -> None:
    async with AsyncMillrace(place.url) as millrace:
        first = await millrace.submit("probe", {}, idempotency_key="a")
        assert await millrace.submit("probe", {}, idempotency_key="a") == first
        assert (await millrace.submit("probe", {})).job_id != first.job_id
        with pytest.raises(Invalid, match="another body"):
            await millrace.submit("probe", {"say": "other"}, idempotency_key="a")
        assert (await millrace.submit("probe", {}, job_id="mine")).job_id == "0-mine"


async def test_keys_are_sent(place: ApiPlace) -> None:
    text, _ = await ApiKeys(place.services.client, place.services.keys).create("reader", scopes=("read",))
    async with AsyncMillrace(place.url, text) as millrace:
        with pytest.raises(Forbidden, match="submit"):
            await millrace.submit("probe", {})
    async with AsyncMillrace(place.url) as nobody:
        with pytest.raises(Unauthenticated, match="keys create"):
            await nobody.get("0-x")


async def test_a_stream_that_breaks_off_is_taken_up_again(place: ApiPlace) -> None:
    """The connection goes through a proxy that cuts it in the middle, twice."""
    host, port = place.url.removeprefix("http://").split(":")
    cuts = 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cuts
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        up_writer.write(await reader.readuntil(b"\r\n\r\n"))
        left = 1_500 if cuts < 2 else 1 << 30
        while left > 0 and (data := await up_reader.read(min(left, 500))):
            writer.write(data)
            left -= len(data)
        cuts += left <= 0
        for one in (up_writer, writer):
            one.close()
            await one.wait_closed()

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with (
        place.worker(),
        proxy,
        AsyncMillrace(f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}") as millrace,
    ):
        job = await place.submit()
        await place.ended(job)
        events = [event async for event in millrace.stream(job)]
        assert cuts == 2
        told = [entry_id for entry_id, _ in await place.services.log.lifecycle(job)]
        assert [event.id for event in events[:-1]] == told


async def test_a_server_that_is_not_there_is_named(place: ApiPlace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with AsyncMillrace(f"http://127.0.0.1:{port}", patience_s=0.3) as millrace:
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            await millrace.submit("probe", {})
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            await anext(millrace.stream("0-x"))


async def test_the_synchronous_client_does_the_same(place: ApiPlace) -> None:
    def use() -> tuple[JobView, list[JobEvent], object, int]:
        with Millrace(place.url) as millrace:
            job = millrace.submit("probe", {"act": "die once"})
            events = list(millrace.stream(job.job_id))
            retried = millrace.retry(job.job_id)
            done = millrace.wait(job.job_id, timeout_s=20)
            stream = millrace.stream(job.job_id)
            assert next(iter(stream)).type == "submitted"
            with pytest.raises(NotFound):
                millrace.get("0-nothing")
            with pytest.raises(Conflict):
                millrace.cancel(job.job_id)
            return done, events, millrace.result(job.job_id)["result"], retried

    async with place.worker():
        done, events, result, retried = await asyncio.to_thread(use)
    assert (done.status, done.revision, retried) == ("succeeded", 2, 1)
    assert events[-1].data["status"] == "partial"
    assert result == {"said": ["hello", "two"]}
