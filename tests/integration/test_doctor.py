"""Each thing that the doctor finds, provoked and repaired."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from api.services import Services
from consumers.doctor import Finding, examine, repair
from streams.doctor import Suspect, survey
from streams.findings import Finding as Told
from streams.findings import Findings
from streams.keys import PartitionKeys
from streams.reader import GROUP
from tests.support.api_place import ApiPlace, api_place, until

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Ward:
    """A place whose log a test breaks."""

    place: ApiPlace

    @property
    def services(self) -> Services:
        return self.place.services

    @property
    def keys(self) -> PartitionKeys:
        return self.services.keys.partition(0)

    @property
    def client(self) -> Any:
        return self.services.client

    async def suspects(self) -> list[Suspect]:
        return list((await survey(self.client, self.services.keys, confirm_after_s=0.01)).suspects)

    async def kinds(self) -> set[str]:
        return {one.kind for one in await self.suspects()}

    async def finding(self, what: str) -> Finding:
        """The worst that is said of something."""
        found = [one for one in await examine(self.services) if one.what == what]
        return max(found, key=lambda one: ("ok", "note", "bad").index(one.state))

    async def repaired(self) -> list[str]:
        would = [one.repair for one in await repair(self.services, dry_run=True)]
        done = await repair(self.services)
        assert set(would) >= {one.repair for one in done}
        return [one.did for one in done]


@pytest.fixture
async def ward(place: ApiPlace) -> Ward:
    """A log with one job of two open tasks, and no worker."""
    return Ward(place)


async def waiting(ward: Ward) -> tuple[str, str, str]:
    """A job whose first task waits: its id, its stream and its entry."""
    job = await ward.place.submit()
    stream = ward.keys.stream("crawl")
    return job, stream, (await ward.client.xrange(stream))[-1][0].decode()


async def test_a_log_that_works_has_nothing_wrong(ward: Ward) -> None:
    async with ward.place.worker(with_history=True):
        for act in ("", "die", "die once", "miss"):
            await ward.place.ended(await ward.place.submit(act))
        assert await ward.suspects() == []
        bad = {one.what for one in await examine(ward.services) if one.state == "bad"}
        assert bad <= {"persistence"}  # the shared test server syncs nothing
        assert await repair(ward.services) == []


async def test_an_entry_without_a_job_becomes_a_dead_letter(ward: Ward) -> None:
    stream = ward.keys.stream("extract")
    data = orjson.dumps({"v": 1, "say": "kept"})
    entry = await ward.client.xadd(stream, {"job": "0-nobody", "task": "3", "flow": "probe", "data": data})
    assert [(one.kind, one.entry_id) for one in await ward.suspects()] == [("no_job", entry.decode())]
    assert (await ward.finding("orphan entries")).repair == "log"
    assert any("dead letter 0-" in did for did in await ward.repaired())
    (letter,) = await ward.services.log.dead_letters()
    assert (letter.fields["reason"], letter.fields["data"]) == ("orphan_entry", data.decode())
    assert await ward.client.xlen(stream) == 0
    assert await ward.suspects() == []


async def test_an_entry_that_its_job_does_not_know_becomes_a_dead_letter(ward: Ward) -> None:
    job, stream, entry = await waiting(ward)
    ((_, fields),) = await ward.client.xrange(stream, entry, entry)
    await ward.client.xadd(stream, fields)
    assert await ward.kinds() == {"not_issued"}
    await ward.repaired()
    assert await ward.suspects() == []
    assert await ward.client.xlen(stream) == 1
    async with ward.place.worker():
        assert (await ward.place.ended(job))["status"] == "succeeded"


async def test_a_task_without_an_entry_gets_its_payload_back_and_runs(ward: Ward) -> None:
    job, stream, entry = await waiting(ward)
    await ward.client.xdel(stream, entry)
    assert await ward.kinds() == {"no_entry"}
    assert "would never end" in (await ward.finding("jobs")).found
    assert any(f"task 1 of {job} has entry" in did for did in await ward.repaired())
    async with ward.place.worker(with_history=True):
        assert (await ward.place.ended(job))["status"] == "succeeded"
    assert await ward.suspects() == []


async def test_a_task_whose_payload_nobody_kept_ends_as_a_dead_letter(ward: Ward) -> None:
    job, stream, entry = await waiting(ward)
    await ward.client.xdel(stream, entry)
    await ward.client.delete(ward.keys.lifecycle)
    assert any("without its payload" in did for did in await ward.repaired())
    async with ward.place.worker():
        ended = await ward.place.ended(job)
    assert ended["status"] == "failed"
    (letter,) = await ward.services.log.dead_letters()
    assert letter.fields["job"] == job


async def test_a_delayed_task_without_a_timer_runs(ward: Ward) -> None:
    job = await ward.place.submit(run_at="2090-01-01T00:00:00Z")
    assert await ward.suspects() == []
    await ward.client.delete(ward.keys.timers)
    assert await ward.kinds() == {"no_timer"}
    await ward.repaired()
    assert await ward.suspects() == []
    async with ward.place.worker():
        assert (await ward.place.ended(job))["status"] == "succeeded"


async def test_counters_are_set_to_what_is_there(ward: Ward) -> None:
    job, _, _ = await waiting(ward)
    await ward.client.hset(ward.keys.job(job), mapping={"work": 3, "crawl.open": 2})
    (one,) = await ward.suspects()
    assert (one.kind, one.told) == ("counters", "crawl.open 2 1, work 3 1")
    assert (await ward.finding("counters")).state == "bad"
    await ward.repaired()
    async with ward.place.worker():
        assert (await ward.place.ended(job))["status"] == "succeeded"


async def test_a_job_with_nothing_left_to_do_fails(ward: Ward) -> None:
    job, stream, entry = await waiting(ward)
    await ward.client.xdel(stream, entry)
    await ward.client.hdel(ward.keys.job(job), "task.1")
    await ward.client.hset(ward.keys.job(job), mapping={"work": 0, "crawl.open": 0})
    assert await ward.kinds() == {"nothing_left"}
    await ward.repaired()
    view = (await ward.place.call("GET", f"jobs/{job}")).body
    assert view["status"] == "failed"
    assert "nothing of it was left" in str(view["error"])


async def test_dead_letters_and_the_tasks_they_are_of(ward: Ward) -> None:
    async with ward.place.worker():
        job = await ward.place.submit("die")
        other = await ward.place.submit("die")
        for one in (job, other):
            assert (await ward.place.ended(one))["status"] == "partial"
    letters = {one.fields["job"]: one.dead_id.partition("-")[2] for one in await ward.services.log.dead_letters()}
    record = await ward.services.log.job(other)
    assert record is not None
    (dead,) = [
        task for task, place in record.tasks.items() if place.kind == "dead" and place.entry_id == letters[other]
    ][:1]
    await ward.client.xdel(ward.keys.dlq, letters[job])
    await ward.client.hdel(ward.keys.job(other), f"task.{dead}")
    assert await ward.kinds() == {"no_letter", "letter_without_task", "counters"}
    await ward.repaired()
    assert await ward.suspects() == []


async def test_what_a_dead_consumer_holds_is_given_back(ward: Ward) -> None:
    job, stream, entry = await waiting(ward)
    await ward.client.xgroup_create(stream, GROUP, id="0")
    await ward.client.xreadgroup(GROUP, "ghost", {stream: ">"})
    await ward.client.xclaim(stream, GROUP, "ghost", 0, [entry], idle=60_000, justid=True)
    finding = await ward.finding("pending")
    assert (finding.state, finding.repair) == ("bad", "released")
    assert "ghost" in finding.found
    await ward.repaired()
    assert (await ward.finding("pending")).state == "ok"
    async with ward.place.worker():
        assert (await ward.place.ended(job))["status"] == "succeeded"


async def test_a_stream_without_a_group_gets_one(ward: Ward) -> None:
    _, stream, _ = await waiting(ward)
    assert (await ward.finding("groups")).repair == "groups"
    await ward.repaired()
    (group,) = await ward.client.xinfo_groups(stream)
    assert (group["name"], group["last-delivered-id"]) == (GROUP.encode(), b"0-0")


async def test_a_group_that_is_behind(ward: Ward) -> None:
    await ward.client.xadd(ward.keys.lifecycle, {"type": "progressed"}, id="1-1")
    await ward.client.xgroup_create(ward.keys.lifecycle, "history", id="0")
    assert (await ward.finding("group history")).state == "bad"
    await ward.client.xgroup_setid(ward.keys.lifecycle, "history", "1-1")
    assert not [one for one in await examine(ward.services) if one.what == "group history"]


async def test_jobs_that_only_history_has_are_marked_failed(ward: Ward) -> None:
    async with ward.place.worker(with_history=True):
        job = await ward.place.submit(run_at="2090-01-01T00:00:00Z")

        async def is_in_history() -> bool:
            assert ward.services.database is not None
            return await ward.services.database.jobs.get(job, tenant="default") is not None

        await until(is_in_history)
        # Redis is restored from before the job was.
        for key in (ward.keys.job(job), ward.keys.timers, ward.keys.waiting):
            await ward.client.delete(key)
        await ward.place.age_history(job)
        assert job in (await ward.finding("history")).found
        await repair(ward.services)

        async def has_failed() -> bool:
            return bool((await ward.place.call("GET", f"jobs/{job}")).body["status"] == "failed")

        await until(has_failed)
    assert (await ward.finding("history")).state == "ok"


async def test_what_was_noted_is_told_until_it_is_forgotten(ward: Ward) -> None:
    await Findings(ward.client, ward.services.keys).note(Told("follow_up_refused", "0-a", "it was refused", "look", 1))
    finding = await ward.finding("follow up refused")
    assert (finding.state, finding.found) == ("note", "it was refused")
    assert await ward.repaired() == ["it was told, and is forgotten"]
    assert await ward.repaired() == []


async def test_bytes_that_are_gone(ward: Ward, tmp_path: Any) -> None:
    async with ward.place.worker(with_history=True):
        await ward.place.ended(await ward.place.submit())
    assert (await ward.finding("blobs")).state == "ok"
    found = [
        path for path in (tmp_path / "artifacts" / "tenants").rglob("*") if re.fullmatch("[0-9a-f]{64}", path.name)
    ]
    kept = found[0].read_bytes()
    found[0].unlink()
    finding = await ward.finding("blobs")
    assert (finding.state, found[0].name in finding.found) == ("bad", True)
    await ward.services.blobs.put(kept, tenant="default", content_type="text/html")
    assert (await ward.finding("blobs")).state == "ok"


async def test_a_server_that_evicts_or_forgets_is_refused(
    start_valkey: Callable[..., Any], store_url: str, namespace: str, tmp_path: Any
) -> None:
    server = start_valkey(maxmemory_policy="allkeys-lru", maxmemory="100mb", appendonly="no")
    async with api_place(server.url, store_url, namespace, tmp_path) as place:
        ward = Ward(place)
        assert (await ward.finding("eviction")).state == "bad"
        assert (await ward.finding("persistence")).state == "bad"
        await ward.client.config_set("maxmemory-policy", "noeviction")
        await ward.client.config_set("appendonly", "yes")
        assert (await ward.finding("eviction")).state == (await ward.finding("persistence")).state == "ok"
        server.kill()
        assert (await ward.finding("Redis")).state == "bad"
