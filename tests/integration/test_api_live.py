"""What happens to a job, told as it happens: event stream, WebSocket and waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from api import look
from api.live import QUEUE, Hub, LiveEntry, Subscription
from tests.support.api_place import ApiPlace, api_place, until

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Event:
    id: str
    type: str
    data: dict[str, Any]


class Stream:
    """An open event stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.comments: list[str] = []

    async def next(self) -> Event | None:
        fields: dict[str, str] = {}
        async for line in self._answer.content:
            text = line.decode().rstrip("\n")
            if not text and "data" in fields:
                return Event(fields.get("id", ""), fields["event"], orjson.loads(fields["data"]))
            name, _, value = text.partition(": ")
            if name:
                fields[name] = value
            elif value:
                self.comments.append(value)
        return None

    async def rest(self) -> list[Event]:
        found = []
        while (event := await self.next()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def stream_of(place: ApiPlace, job: str, after: str | None = None) -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": after} if after else {}
    async with place.session.get(f"{place.url}/api/v1/jobs/{job}/events", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)


async def test_a_stream_tells_all_from_the_beginning_and_ends_with_the_job(place: ApiPlace) -> None:
    job = await place.submit("wait")
    async with stream_of(place, job) as stream, place.worker():
        first = await stream.next()
        assert first is not None
        assert (first.type, first.data["status"]) == ("submitted", "queued")
        assert "data" not in first.data
        await place.gate.reached.wait()
        place.gate.is_open.set()
        events = await stream.rest()
    assert [event.type for event in events[-2:]] == ["completed", "end"]
    assert events[-2].data["stage"] == "notify"
    assert events[-1].data["status"] == "succeeded"
    assert "progressed" in {event.type for event in events} or events
    ids = [tuple(map(int, event.id.split("-"))) for event in [first, *events[:-1]]]
    assert ids == sorted(set(ids))
    told = await place.services.log.lifecycle(job)
    assert [entry_id for entry_id, _ in told] == [first.id, *(event.id for event in events[:-1])]


async def test_a_stream_goes_on_after_the_last_id_that_was_seen(place: ApiPlace) -> None:
    async with place.worker():
        job = await place.submit()
        await place.ended(job)
        async with stream_of(place, job) as stream:
            events = await stream.rest()
        assert len(events) > 5
        for at in (0, 3, len(events) - 2):
            async with stream_of(place, job, events[at].id) as stream:
                rest = await stream.rest()
            assert [event.id for event in rest] == [event.id for event in events[at + 1 :]]


async def test_a_broken_stream_taken_up_in_the_middle_misses_and_repeats_nothing(place: ApiPlace) -> None:
    job = await place.submit("wait")
    seen: list[Event] = []
    async with place.worker():
        async with stream_of(place, job) as stream:
            while len(seen) < 2:
                event = await stream.next()
                assert event is not None
                seen.append(event)
        await place.gate.reached.wait()
        async with stream_of(place, job, seen[-1].id) as stream:
            place.gate.is_open.set()
            seen += await stream.rest()
    told = [entry_id for entry_id, _ in await place.services.log.lifecycle(job)]
    assert [event.id for event in seen[:-1]] == told


async def test_a_quiet_stream_beats(place: ApiPlace, monkeypatch: Any) -> None:
    monkeypatch.setattr(look, "HEARTBEAT_S", 0.05)
    job = await place.submit()
    async with stream_of(place, job) as stream:
        assert (await stream.next()) is not None
        waiting = asyncio.create_task(stream.next())

        async def has_beaten() -> bool:
            return len(stream.comments) > 2

        await until(has_beaten)
        await place.call("POST", f"jobs/{job}/cancel")
        event = await waiting
        assert event is not None
        assert (event.type, event.data["status"]) == ("cancelled", "cancelled")


async def test_waiting_is_answered_at_the_end_or_when_the_time_is_over(place: ApiPlace) -> None:
    job = await place.submit("wait")
    early = await place.call("GET", f"jobs/{job}?wait=0.05")
    assert early.body["status"] == "queued"
    async with place.worker():
        await place.gate.reached.wait()
        waiting = [asyncio.create_task(place.call("GET", f"jobs/{job}?wait=30")) for _ in range(10)]
        await place.waiters(10)
        place.gate.is_open.set()
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*waiting)
        assert {answer.body["status"] for answer in answers} == {"succeeded"}
    assert place.services.hub.waiters == 0


async def test_a_socket_tells_the_same(place: ApiPlace) -> None:
    job = await place.submit()
    async with place.session.ws_connect(f"{place.url}/ws/jobs/{job}") as socket, place.worker():
        messages = [message.json() async for message in socket]
        assert socket.close_code == 1000
    assert [one["type"] for one in messages[:1]] == ["submitted"]
    assert (messages[-1]["type"], messages[-1]["job"]["status"]) == ("end", "succeeded")
    told = [entry_id for entry_id, _ in await place.services.log.lifecycle(job)]
    assert [one["id"] for one in messages[:-1]] == told
    async with place.session.ws_connect(f"{place.url}/ws/jobs/{job}?after={told[2]}") as socket:
        messages = [message.json() async for message in socket]
    assert [one["id"] for one in messages[:-1]] == told[3:]


async def test_a_socket_that_is_refused_is_told_why(place: ApiPlace) -> None:
    async with place.session.ws_connect(f"{place.url}/ws/jobs/0-nothing") as socket:
        assert (await socket.receive_json())["type"] == "/problems/not-found"
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4404


async def test_a_slow_client_is_dropped_and_the_others_are_not(place: ApiPlace) -> None:
    hub, job = place.services.hub, b"0-many"
    async with hub.of("0-many") as slow, hub.of("0-many") as quick:
        for at in range(QUEUE + 1):
            hub.dispatch(b"%d-0" % at, {b"job": job, b"type": b"progressed"})
            assert (await quick.next(1.0)) is not None
        assert slow.dropped is not None
        assert quick.dropped is None
        assert hub.slow_clients == 1
        hub.dispatch(b"9999-0", {b"job": job})
        assert (await quick.next(1.0)) == LiveEntry("9999-0", {"job": "0-many"})
        left = 0
        while await slow.next(0.0) is not None:
            left += 1
        assert left == QUEUE


async def test_a_server_that_stops_tells_its_streams_to_come_again_and_waits_for_none(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async with aiohttp.ClientSession() as session:
        async with api_place(valkey_url, store_url, namespace, tmp_path) as place:
            job = await place.submit()
            answer = await session.get(f"{place.url}/api/v1/jobs/{job}/events")
            socket = await session.ws_connect(f"{place.url}/ws/jobs/{job}")
            waiting = asyncio.create_task(place.call("GET", f"jobs/{job}?wait=60"))
            await place.waiters(3)
            began = time.monotonic()
            place.stop()
            events = await Stream(answer).rest()
            messages = [message.json() async for message in socket]
            assert (await waiting).body["status"] == "queued"
        assert time.monotonic() - began < 1.5
    assert [event.type for event in events] == ["submitted", "disconnect"]
    assert [message["type"] for message in messages] == ["submitted", "disconnect"]
    assert socket.close_code == 1013


async def test_nothing_is_read_while_nobody_waits(place: ApiPlace) -> None:
    hub: Hub = place.services.hub
    assert hub.waiters == 0
    assert not hub.wanted().is_set()
    async with hub.of("0-x"):
        assert hub.wanted().is_set()
    assert not hub.wanted().is_set()


def test_a_subscription_ends_once() -> None:
    async def body() -> None:
        subscription = Subscription(most=1)
        assert subscription.put(LiveEntry("1-0", {}))
        assert not subscription.put(LiveEntry("2-0", {}))
        subscription.drop("later")
        assert (await subscription.next(0)) == LiveEntry("1-0", {})
        assert (await subscription.next(0)) is None
        assert subscription.dropped == "the client is too slow: more than 1 events waited for it"

    asyncio.run(body())
