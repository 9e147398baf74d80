"""Entries from outside: each goes to the dead letters with its reason or is adopted, and nothing behind it waits."""

from __future__ import annotations

import os

import pytest

from consumers.context import StageContext
from consumers.outcome import Done, Outcome
from tests.support.chaos_local import Note, flow_of, here

GARBAGE = bytes(range(256))
BAD = [
    pytest.param({"flow": "one"}, "no_data", id="no data"),
    pytest.param({"flow": "one", "data": ""}, "no_data", id="empty data"),
    pytest.param({"flow": "one", "data": "{"}, "bad_json", id="bad JSON"),
    pytest.param({"flow": "one", "data": "[1]"}, "bad_json", id="no object"),
    pytest.param({"flow": "one", "data": '{"v":99}'}, "unknown_schema_version", id="unknown version"),
    pytest.param({"flow": "one", "data": '{"v":0}'}, "unknown_schema_version", id="older than any"),
    pytest.param({"flow": "one", "data": '{"v":"x"}'}, "unknown_schema_version", id="no number"),
    pytest.param({"flow": "one", "data": '{"v":1,"n":"many"}'}, "invalid_payload", id="wrong type"),
    pytest.param({"flow": "one", "data": '{"v":1,"size":1}'}, "invalid_payload", id="unknown field"),
    pytest.param({"flow": "two", "data": '{"v":1}'}, "unknown_flow", id="unknown flow"),
    pytest.param({"data": '{"v":1}'}, "unknown_flow", id="no flow"),
    pytest.param({"x": "y"}, "unknown_flow", id="nothing known"),
    pytest.param({GARBAGE: GARBAGE}, "unknown_flow", id="binary"),
    pytest.param({"flow": GARBAGE, "data": GARBAGE, "task": GARBAGE}, "unknown_flow", id="binary flow"),
    pytest.param({"flow": "one", "data": GARBAGE, "traceparent": GARBAGE}, "bad_json", id="binary data"),
    pytest.param({"job": "0-abcdef", "task": "1", "flow": "one", "data": '{"v":1}'}, "unknown_task", id="unknown job"),
    pytest.param({"job": "not a job id", "task": "1", "flow": "one", "data": "{}"}, "unknown_task", id="no job id"),
    pytest.param({"job": "7-abcdef", "task": "1", "flow": "one", "data": "{}"}, "unknown_task", id="other partition"),
    pytest.param({"job": GARBAGE, "task": GARBAGE, "attempt": GARBAGE, "data": "x"}, "unknown_task", id="binary job"),
    pytest.param({"job": "x" * 100_000, "task": "-1", "data": "x"}, "unknown_task", id="a long job id"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD)
async def test_a_bad_entry_is_a_dead_letter_and_what_follows_runs(
    valkey_url: str, namespace: str, fields: dict[str | bytes, str | bytes], reason: str
) -> None:
    async with here(valkey_url, namespace, flow_of()) as place:
        keys, client = place.log.keys.partition(0), place.log.client
        stream = keys.stream("crawl")
        for _ in range(3):
            await client.xadd(stream, fields)
        job = await place.submit()
        worker = await place.start(concurrency=1)
        assert (await place.ended(job)).status == "succeeded"
        await place.until(lambda: worker.committer.counts.get("dead_lettered", 0) == 3, "the dead letters")
        letters = await place.log.dead_letters()
        assert [letter.fields["reason"] for letter in letters] == [reason] * 3
        assert {letter.fields["stream"] for letter in letters} == {"crawl"}
        assert all(letter.fields["error"] and letter.fields["fields"].startswith("{") for letter in letters)
        assert await client.xlen(stream) == 0
        await place.check()


@pytest.mark.parametrize("task", ["1", "2", "99", "x", ""])
async def test_a_forged_entry_of_a_real_job_is_a_dead_letter(valkey_url: str, namespace: str, task: str) -> None:
    """The job is known, the entry is not the one that was issued for the task."""
    ran: list[int] = []

    async def works(note: Note, _: StageContext) -> Outcome:
        ran.append(note.n)
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works)) as place:
        job = await place.submit(n=7)
        stream = place.log.keys.partition(0).stream("crawl")
        forged = {"job": job, "task": task, "flow": "one", "attempt": "1", "data": '{"v":1,"n":666}'}
        await place.log.client.xadd(stream, forged)
        worker = await place.start()
        assert (await place.ended(job)).status == "succeeded"
        await place.until(lambda: worker.committer.counts.get("dead_lettered", 0) == 1, "the dead letter")
        (letter,) = await place.log.dead_letters()
        assert (letter.fields["reason"], letter.fields["job"]) == ("unknown_task", job)
        assert ran == [7]
        await place.check()


async def test_a_dead_letter_of_no_job_cannot_be_redriven(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of()) as place:
        await place.log.client.xadd(place.log.keys.partition(0).stream("crawl"), {"flow": "one", "data": "{"})
        worker = await place.start()
        await place.until(lambda: worker.committer.counts.get("dead_lettered", 0) == 1, "the dead letter")
        (letter,) = await place.log.dead_letters()
        (code,) = await place.log.redrive([letter.dead_id])
        assert code < 0
        assert len(await place.log.dead_letters()) == 1


async def test_an_entry_without_job_becomes_one_inside_its_trace(valkey_url: str, namespace: str) -> None:
    trace_id = os.urandom(16).hex()
    async with here(valkey_url, namespace, flow_of()) as place:
        for _ in range(2):
            await place.start()
        stream = place.log.keys.partition(0).stream("classify")
        entry = {"flow": "one", "data": '{"v":1,"n":3}', "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        ids = [await place.log.client.xadd(stream, entry) for _ in range(5)]
        adopted: dict[str, str] = {}

        async def all_adopted() -> bool:
            for _, raw in await place.log.client.xrange(place.log.keys.partition(0).lifecycle):
                if raw[b"type"] == b"adopted":
                    adopted[raw[b"origin"].decode()] = raw[b"job"].decode()
            return len(adopted) == 5

        await place.until(all_adopted, "the adoptions")
        assert set(adopted) == {f"classify {entry_id.decode()}" for entry_id in ids}
        for job in adopted.values():
            record = await place.ended(job)
            assert (record.status, record.trace_id) == ("succeeded", trace_id)
            assert record.stages()["classify"] == {"open": 0, "done": 1, "failed": 0}
        await place.check()
