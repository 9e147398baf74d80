"""What the doctor makes of the facts."""

from __future__ import annotations

import pytest

from consumers.doctor import servers, worklog
from consumers.doctor.kept import judge_blobs, judge_lost
from consumers.doctor.worklog import GroupFacts, StreamFacts
from streams.doctor import Survey, Suspect
from streams.keys import Keys


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_broker_that_may_evict_is_refused(policy: str) -> None:
    assert servers.judge_eviction(policy).state == "bad"
    assert servers.judge_eviction("noeviction").state == "ok"


@pytest.mark.parametrize(
    ("has_aof", "fsync", "state"),
    [(True, "always", "ok"), (True, "everysec", "note"), (True, "no", "bad"), (False, "always", "bad")],
)
def test_persistence(has_aof: bool, fsync: str, state: str) -> None:  # noqa: FBT001
    assert servers.judge_persistence(has_aof, fsync).state == state


@pytest.mark.parametrize(("used", "limit", "state"), [(1, 0, "note"), (1, 10, "ok"), (8, 10, "note"), (96, 100, "bad")])
def test_memory(used: int, limit: int, state: str) -> None:
    assert servers.judge_memory(used, limit).state == state


@pytest.mark.parametrize(("ahead_s", "state"), [(0.2, "ok"), (-0.9, "ok"), (1.5, "note"), (-2.0, "note"), (9.0, "bad")])
def test_clocks(ahead_s: float, state: str) -> None:
    assert servers.judge_clock("Redis", ahead_s).state == state


@pytest.mark.parametrize(("ahead_s", "state"), [(-14.0, "ok"), (0.0, "ok"), (30.0, "bad"), (-40.0, "bad")])
def test_a_worker_with_another_clock(ahead_s: float, state: str) -> None:
    assert worklog.judge_worker_clock("w", ahead_s).state == state


def test_replicas_tables_and_reach() -> None:
    assert servers.judge_replicas(1, 2).state == "bad"
    assert servers.judge_replicas(2, 2).state == "ok"
    assert [servers.judge_schema(at, "0002").state for at in (None, "0001", "0002")] == ["bad", "bad", "ok"]
    assert servers.judge_reach("mail", "h", 25, "lost", answers=False).state == "note"


def test_what_does_not_fit_is_told_by_kind_with_some_names() -> None:
    jobs = tuple(Suspect("no_entry", 0, f"0-{n}", "1") for n in range(5))
    found = worklog.judge_survey(Survey(10, 0, 5, (*jobs, Suspect("wide", 0, "0-big"))))
    assert [(one.what, one.state, one.repair) for one in found] == [("jobs", "bad", "log"), ("jobs", "note", "")]
    assert "5 open tasks have no entry" in found[0].found
    assert "0-0 #1, 0-1 #1, 0-2 #1, …" in found[0].found
    assert worklog.judge_survey(Survey(10, 0, 5, ()))[0].state == "ok"
    assert worklog.judge_survey(Survey(10, 0, 5, jobs, is_cut=True))[-1].state == "note"


def test_entries_in_dead_hands() -> None:
    def stream(idle_ms: int) -> StreamFacts:
        return StreamFacts("s", "default", 0, {"alive": 2, "gone": 3}, {"gone": idle_ms}, has_group=True)

    (bad,) = worklog.judge_streams([stream(21_000)], 5_000)
    assert (bad.state, bad.repair) == ("bad", "released")
    assert bad.found.startswith("3 entries are held by 1 consumers that are gone (gone)")
    assert worklog.judge_streams([stream(19_000)], 5_000)[0].state == "ok"


def test_pools_with_work_and_nobody() -> None:
    facts = [StreamFacts("s", "heavy", 4, {}, {}, has_group=True)]
    worker = {"name": "w", "in_hand": 1, "pools": ["default"], "seen_at": 100.0}
    found = worklog.judge_workers([worker], facts, 101.0)
    assert [(one.what, one.state) for one in found] == [("workers", "ok"), ("pool heavy", "bad")]
    assert worklog.judge_workers([], facts, 0.0)[0].state == "bad"
    assert worklog.judge_workers([], [], 0.0)[0].state == "note"


def test_groups_behind() -> None:
    keys = Keys("millrace", 1)
    lifecycle = keys.partition(0).lifecycle

    def state(name: str, behind_s: float, stream: str = lifecycle) -> str:
        return worklog.judge_groups([GroupFacts(stream, name, behind_s)], keys.all_partitions)[0].state

    assert [state("history", behind) for behind in (0.0, 61.0, 901.0)] == ["ok", "note", "bad"]
    assert state("theirs", 901.0) == "note"
    assert state("millrace", 901.0, keys.events) == "bad"


def test_blobs_and_history() -> None:
    assert judge_blobs(3, [], 0, 0)[0].state == "ok"
    assert [one.state for one in judge_blobs(3, ["a" * 64], 2, 1 << 20)] == ["bad", "note"]
    assert judge_lost([]).state == "ok"
    assert judge_lost([{"job_id": "0-a"}]).repair == "history"
