"""``XADD <namespace>:events``: each event becomes a job or, once, a dead letter; none holds up another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from consumers.flow import Flow
from consumers.noop import flow as noop
from consumers.worker import ingest
from consumers.worker.ingest import Ingest
from schemas.events import CANCEL, SUBMIT, signature
from streams import groups
from streams.connect import connect
from streams.groups import Entries, GroupReader
from streams.keys import job_id_for
from streams.pressure import Pressure
from streams.reader import GROUP
from streams.states import ENDED
from tests.support.chaos_local import Here, Note, NoteSpec, flow_of, here

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.embedded.valkey import ValkeyServer
    from streams.log import DeadLetter

SECRET = "sesame"
GARBAGE = bytes(range(256))
FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def job(**changes: Any) -> str:
    """The data of a submit event."""
    return orjson.dumps({"flow": "noop", "spec": {}, **changes}).decode()


def followed_by(then: str) -> str:
    """The data of a submit event with a follow-up."""
    return job()[:-1] + f',"then":{then}}}'


def nested(flow: str, field: str, depth: int, more: str = "") -> str:
    """The data of a submit event with a spec that is so deep."""
    return f'{{"flow":"{flow}","spec":{{"{field}":{"[" * depth}{"]" * depth}}}{more}}}'


async def add(place: Here, fields: dict[Any, Any]) -> str:
    """XADD, as another system does."""
    entry_id: bytes = await place.log.client.xadd(place.log.keys.events, fields)
    return entry_id.decode()


async def submitted(place: Here, **fields: str) -> str:
    return await add(place, {"type": SUBMIT, "data": job(), **fields})


async def all_taken(place: Here) -> None:
    """Wait until nothing is left in the stream, acknowledged or not."""

    async def is_empty() -> bool:
        return int(await place.log.client.xlen(place.log.keys.events)) == 0

    await place.until(is_empty, "the events to be taken")
    assert (await place.log.client.xpending(place.log.keys.events, GROUP))["pending"] == 0


async def jobs(place: Here) -> list[str]:
    """The jobs there are, in the order of their submission."""
    rows = await place.log.client.xrange(place.log.keys.partition(0).lifecycle)
    return [raw[b"job"].decode() for _, raw in rows if raw[b"type"] == b"submitted"]


async def letters(place: Here) -> list[DeadLetter]:
    """Oldest first."""
    return (await place.log.dead_letters())[::-1]


async def test_an_event_becomes_a_job_that_runs(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        entry_id = await submitted(place)  # before there is any group
        await place.start(follows=(Ingest,))
        await submitted(place, id="7", source="/erp")
        await all_taken(place)
        assert await jobs(place) == [
            job_id_for(f"entry {place.log.keys.events} {entry_id}", 1),
            job_id_for('event ["/erp","7"]', 1),
        ]
        for job_id in await jobs(place):
            assert (await place.ended(job_id)).status == "succeeded"
        assert await letters(place) == []


async def test_under_pressure_events_stay_where_they_are(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        pressure = Pressure(place.log.client, place.log.keys)
        await pressure.begin("nearly full")
        await submitted(place)
        await place.start(follows=(Ingest,))
        direct = await place.submit("noop")
        assert (await place.ended(direct)).status == "succeeded", "what is under way goes on"
        assert await jobs(place) == [direct]
        assert await place.log.client.xlen(place.log.keys.events) == 1
        assert await pressure.end()
        await all_taken(place)
        assert len(await jobs(place)) == 2


async def test_the_same_source_and_id_is_the_same_job(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        await place.start(follows=(Ingest,))
        for source in ("/erp", "/erp", "/crm"):
            await submitted(place, id="7", source=source)
        conflicting = await add(place, {"type": SUBMIT, "data": job(spec={"n": 1}), "id": "7", "source": "/erp"})
        await submitted(place)
        await submitted(place)
        await all_taken(place)
        assert len(await jobs(place)) == len(set(await jobs(place))) == 4
        (letter,) = await letters(place)
        assert letter.fields["reason"] == "conflict"
        assert letter.fields["entry"] == conflicting
        assert letter.fields["stream"] == place.log.keys.events
        assert "another body" in letter.fields["error"]


async def test_the_sender_may_choose_the_job_id(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        await place.start(follows=(Ingest,))
        for job_id in ("invoice-7", "0-invoice-8", "invoice-7"):
            await submitted(place, data=job(job_id=job_id))
        await submitted(place, data=job(job_id="invoice-7", spec={"n": 1}))
        await submitted(place, data=job(job_id="9-elsewhere"))
        await submitted(place, data=job(job_id="no/id"))
        await all_taken(place)
        assert await jobs(place) == ["0-invoice-7", "0-invoice-8"]
        assert [letter.fields["reason"] for letter in await letters(place)] == [
            "conflict",
            "invalid_job",
            "invalid_job",
        ]


async def test_a_cancel_event_ends_its_job(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        await place.start(follows=(Ingest,))
        await submitted(place, data=job(job_id="later", run_at="2100-01-01T00:00:00Z"))
        await submitted(place, data=job(job_id="done"))
        await all_taken(place)
        assert (await place.ended("0-done")).status == "succeeded"
        for job_id in ("0-later", "0-later", "0-done", "0-nobody", "nonsense"):
            await add(place, {"type": CANCEL, "data": orjson.dumps({"job_id": job_id})})
        await all_taken(place)
        record = await place.ended("0-later")
        assert (record.status, record.fields["error"]) == ("cancelled", "cancelled by event")
        said = [(letter.fields["reason"], letter.fields["error"]) for letter in await letters(place)]
        assert [reason for reason, _ in said] == ["closed", "unknown_job", "invalid_job"]
        assert "over already (succeeded)" in said[0][1]
        assert "no job 0-nobody" in said[1][1]
        assert "not a job id" in said[2][1]


async def test_a_foreign_trace_is_the_trace_of_the_job(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        await place.start(follows=(Ingest,))
        await submitted(place, data=job(job_id="a"), traceparent=FOREIGN)
        await submitted(place, data=job(job_id="b"), traceparent="00-" + "0" * 32 + "-b7ad6b7169203331-01")
        await submitted(place, data=job(job_id="c"))
        await all_taken(place)
        traces = [(await place.ended(job_id)).trace_id for job_id in ("0-a", "0-b", "0-c")]
        assert traces[0] == FOREIGN[3:35]
        assert len(set(traces)) == 3
        assert await letters(place) == []


BROKEN = [
    pytest.param({"data": job()}, "bad_event", id="no type"),
    pytest.param({"x": "y"}, "bad_event", id="nothing known"),
    pytest.param({GARBAGE: GARBAGE}, "bad_event", id="binary"),
    pytest.param({"type": "", "data": job()}, "bad_event", id="empty type"),
    pytest.param({"type": "x" * 300, "data": job()}, "bad_event", id="a long type"),
    pytest.param({"type": "millrace.job.pause", "data": job()}, "unknown_event_type", id="unknown type"),
    pytest.param({"type": GARBAGE[128:], "data": job()}, "unknown_event_type", id="binary type"),
    pytest.param({"type": SUBMIT}, "no_data", id="no data"),
    pytest.param({"type": SUBMIT, "data": "null"}, "no_data", id="null"),
    pytest.param({"type": SUBMIT, "data": ""}, "bad_json", id="empty data"),
    pytest.param({"type": SUBMIT, "data": '{"flow":'}, "bad_json", id="bad JSON"),
    pytest.param({"type": SUBMIT, "data": GARBAGE}, "bad_json", id="binary data"),
    pytest.param({"type": SUBMIT, "data": "[" * 100_000 + "]" * 100_000}, "bad_json", id="100,000 deep"),
    pytest.param({"type": SUBMIT, "data": "[]"}, "invalid_job", id="no object"),
    pytest.param({"type": SUBMIT, "data": job(flow="nosuch")}, "invalid_job", id="unknown flow"),
    pytest.param({"type": SUBMIT, "data": job(flow=1)}, "invalid_job", id="wrong type"),
    pytest.param({"type": SUBMIT, "data": '{"flow":"noop"}'}, "invalid_job", id="no spec"),
    pytest.param({"type": SUBMIT, "data": job(spec={"fan_out": "many"})}, "invalid_job", id="bad spec"),
    pytest.param({"type": SUBMIT, "data": job(size=1)}, "invalid_job", id="unknown field"),
    pytest.param({"type": SUBMIT, "data": job(then={"flow": "x", "spec": {}})}, "invalid_job", id="bad follow-up"),
    pytest.param(
        {"type": SUBMIT, "data": nested("noop", "n", 300, ',"from_stage":"classify"')},
        "invalid_job",
        id="300 deep",
    ),
    pytest.param({"type": SUBMIT, "data": nested("free", "any", 300)}, "invalid_job", id="deep"),
    pytest.param(
        {"type": SUBMIT, "data": followed_by(nested("free", "any", 300))},
        "invalid_job",
        id="a deep follow-up",
    ),
    pytest.param({"type": SUBMIT, "data": job(flow="raises")}, "KeyError", id="a flow that cannot begin"),
    pytest.param({"type": SUBMIT, "data": job(flow="free", spec={"any": "x" * 2_000_000})}, "invalid_job", id="2 MB"),
    pytest.param({"type": CANCEL, "data": "{}"}, "invalid_job", id="cancel of nothing"),
]


class FreeSpec(NoteSpec):
    """Takes what it is given."""

    any: Any = None


def _cannot_begin(_: NoteSpec) -> Note:
    raise KeyError("total")


def flows() -> tuple[Flow, ...]:
    def some(name: str, spec: type[NoteSpec], first: Callable[[Any], Note]) -> Flow:
        return Flow(name=name, spec=spec, stages=tuple(flow_of().by_name.values()), first=first)

    return noop, some("free", FreeSpec, lambda _: Note()), some("raises", NoteSpec, _cannot_begin)


@pytest.mark.parametrize(("fields", "reason"), BROKEN)
async def test_a_broken_event_is_a_dead_letter_once_and_what_follows_runs(
    valkey_url: str, namespace: str, fields: dict[Any, Any], reason: str
) -> None:
    async with here(valkey_url, namespace, *flows()) as place:
        broken = await add(place, fields)
        await submitted(place, data=job(job_id="after"))
        worker = await place.start(follows=(Ingest,))
        assert (await place.ended("0-after")).status == "succeeded"
        await all_taken(place)
        assert await jobs(place) == ["0-after"]
        (letter,) = await letters(place)
        assert (letter.fields["reason"], letter.fields["entry"]) == (reason, broken)
        assert letter.fields["error"]
        assert set(orjson.loads(letter.fields["fields"])) == {
            name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in fields
        }
        assert worker.crash_reason is None


SIGNATURES = [
    pytest.param(None, id="none"),
    pytest.param("", id="empty"),
    pytest.param("0" * 64, id="wrong"),
    pytest.param("not ASCII: é", id="not ASCII"),
    pytest.param(GARBAGE, id="binary"),
    pytest.param("of another entry", id="of another entry"),
]


@pytest.mark.parametrize("sent", SIGNATURES)
async def test_with_a_secret_only_signed_events_count(
    valkey_url: str, namespace: str, sent: str | bytes | None
) -> None:
    async with here(valkey_url, namespace, noop, events_secret=SECRET) as place:
        good = {"type": SUBMIT, "id": "7", "source": "/erp", "data": job(job_id="signed")}
        forged: dict[Any, Any] = {**good, "data": job(job_id="forged")}
        if sent is not None:
            forged["sig"] = signature(good, SECRET) if sent == "of another entry" else sent
        await add(place, forged)
        await add(place, {**good, "sig": signature(good, SECRET)})
        worker = await place.start(follows=(Ingest,))
        await all_taken(place)
        assert await jobs(place) == ["0-signed"]
        (letter,) = await letters(place)
        assert letter.fields["reason"] == "bad_signature"
        assert "sig" not in orjson.loads(letter.fields["fields"])
        assert worker.crash_reason is None


class KilledError(Exception):
    """Stands for SIGKILL."""


def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take over what is left at once."""
    monkeypatch.setattr(groups, "ORPHANED_MS", 1)
    monkeypatch.setattr(ingest, "TAKE_OVER_EVERY_S", 0.0)
    monkeypatch.setattr(ingest, "BLOCK_MS", 20)


async def test_what_a_dead_member_left_is_taken_over_and_counts_once(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with here(valkey_url, namespace, noop) as place:
        doomed = Ingest(await place.start())

        async def acts_and_dies(stream: str, entries: Entries) -> None:
            await doomed._handle(stream, entries)
            raise KilledError

        await submitted(place)
        await submitted(place, id="7", source="/erp")
        await add(place, {"type": SUBMIT, "data": "{"})
        reader = GroupReader(doomed._client, [place.log.keys.events], GROUP, "dead", deletes=True)
        await reader.create_group()
        with pytest.raises(KilledError):
            await reader.handle_next(acts_and_dies, most=10, block_ms=1)
        await doomed.on_shutdown()
        assert (await place.log.client.xpending(place.log.keys.events, GROUP))["pending"] == 3
        assert (len(await jobs(place)), len(await letters(place))) == (2, 1)

        soon(monkeypatch)
        await place.start(follows=(Ingest,))
        await all_taken(place)
        assert (len(await jobs(place)), len(await letters(place))) == (2, 1)
        for job_id in await jobs(place):
            await place.ended(job_id)
        await place.check()


async def test_an_entry_stays_in_the_stream_until_its_job_is_in_the_log(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        ingesting = Ingest(await place.start())
        seen: list[tuple[int, int]] = []

        async def looks(stream: str, entries: Entries) -> None:
            await ingesting._handle(stream, entries)
            seen.append((await place.log.client.xlen(stream), len(await jobs(place))))

        await submitted(place)
        client = connect(valkey_url)
        reader = GroupReader(client, [place.log.keys.events], GROUP, "one", deletes=True)
        assert await reader.handle_next(looks, most=10, block_ms=1) == 0  # there was no group
        assert await reader.handle_next(looks, most=10, block_ms=1) == 1
        assert seen == [(1, 1)]
        await all_taken(place)
        await client.aclose()
        await ingesting.on_shutdown()


async def test_two_members_share_the_events(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        for _ in range(2):
            await place.start(follows=(Ingest,))
        for number in range(60):
            await submitted(place, id=str(number % 40), source="/erp")
        await all_taken(place)
        assert len(await jobs(place)) == len(set(await jobs(place))) == 40
        for job_id in await jobs(place):
            assert (await place.ended(job_id)).status in ENDED
        await place.check()


async def test_a_server_that_is_full_keeps_the_events(
    start_valkey: Callable[..., ValkeyServer], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    server = start_valkey(appendfsync="no")
    async with here(server.url, namespace, noop) as place:
        worker = await place.start(follows=(Ingest,))
        await submitted(place, data=job(job_id="before"))
        await place.ended("0-before")
        refused: list[str] = []
        monkeypatch.setattr(ingest.logger, "warning", lambda text, *args: refused.append(text % args))
        # XADD is refused by a full server: the event comes in and memory runs out at the same moment.
        pipe = place.log.client.pipeline(transaction=True)
        pipe.xadd(place.log.keys.events, {"type": SUBMIT, "data": job(job_id="kept")})
        pipe.config_set("maxmemory", "1mb")
        await pipe.execute()
        await place.until(lambda: refused, "the refusal")
        assert "nothing is ingested" in refused[0]
        assert await jobs(place) == ["0-before"]
        await place.log.client.config_set("maxmemory", "0")
        await all_taken(place)
        assert (await place.ended("0-kept")).status == "succeeded"
        assert worker.crash_reason is None
        assert await letters(place) == []
