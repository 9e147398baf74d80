"""Situations of a job that repeats a part of another: opened in several calls, cut short, joined when all is opened.

They assert little: after every step the world compares the server with the model.
"""

from __future__ import annotations

from schemas.names import StageName
from streams.moves import Completion, Emission
from streams.scripts import Code
from streams.states import JobStatus
from tests.integration.model.staging import A, bury, done, letters_of, out, scenario, take
from tests.integration.model.world import World, new_job, replayed

EXTRACT: StageName = "extract"
FIVE = tuple((number, EXTRACT) for number in (4, 6, 7, 9, 12))
TAIL: tuple[tuple[StageName, int], ...] = (("compile", 0), ("notify", 0), ("compile", 2), ("notify", 2))


def finish(world: World) -> None:
    """Complete whatever there is."""
    while left := take(world):
        done(world, *left)


@scenario
def a_replay_is_opened_in_several_calls_each_once(world: World) -> None:
    job = replayed("r", *FIVE, lane="low")
    assert world.replay(job, calls=slice(2)) == [Code.OK, Code.OK]
    assert world.replay(job) == [Code.DUPLICATE, Code.DUPLICATE, Code.OK]
    assert world.replay(job) == [Code.DUPLICATE] * 3
    finish(world)
    kept = world.model.jobs[job.job_id]
    assert kept.status is JobStatus.SUCCEEDED
    assert sorted(kept.tasks) == [4, 6, 7, 9, 12, 13, 14]


@scenario
def a_call_that_skips_what_was_not_opened_opens_nothing(world: World) -> None:
    job = replayed("r", *FIVE)
    assert world.replay(job, calls=slice(1, 2)) == [Code.UNKNOWN_JOB]
    world.replay(job, calls=slice(1))
    assert world.replay(job, calls=slice(2, 3)) == [Code.DUPLICATE]
    world.replay(job)
    finish(world)


@scenario
def what_ends_before_all_is_opened_waits_with_the_join(world: World) -> None:
    job = replayed("r", (1, "extract"), (2, "extract"), (3, "extract"))
    world.replay(job, calls=slice(1))
    finish(world)
    kept = world.model.jobs[job.job_id]
    assert not kept.tail
    world.replay(job)
    finish(world)
    assert kept.ended == {1: JobStatus.SUCCEEDED}


@scenario
def the_last_call_ends_a_job_whose_work_is_done(world: World) -> None:
    for name, dead, reused, status in (
        ("a", 0, 0, JobStatus.SUCCEEDED), ("b", 1, 0, JobStatus.PARTIAL), ("c", 2, 0, JobStatus.FAILED),
        ("d", 2, 1, JobStatus.PARTIAL),
    ):  # fmt: skip
        job = replayed(name, (1, "download"), (2, "download"), (5, "download"), until_stage="download", reused=reused)
        world.replay(job, calls=slice(1))
        held = take(world)
        bury(world, *held[:dead])
        done(world, *held[dead:])
        kept = world.model.jobs[job.job_id]
        assert not kept.is_ended
        last = list(job.calls(2))[-1]
        assert [task.number for task in last[1]] == [5]
        world.replay(job, calls=slice(2, None))
        world.replay(job, calls=slice(1, None))
        held = take(world)
        (bury if dead == 2 else done)(world, *held)
        assert kept.status is status, name


@scenario
def a_job_of_nothing_but_what_is_done_already_compiles_at_the_last_call(world: World) -> None:
    job = replayed("r", (1, "extract"), (2, "extract"), once=("a", "b", "c"))
    world.replay(job, calls=slice(1))
    world.replay(job, calls=slice(1))
    world.replay(job)
    finish(world)
    assert world.model.jobs[job.job_id].status is JobStatus.SUCCEEDED


@scenario
def what_upstream_emitted_once_is_not_emitted_again_and_budgets_go_on(world: World) -> None:
    job = replayed("r", (3, "classify"), once=("a", "b", "c"), budgets={"pages": 1}, limit_ms=500)
    world.replay(job)
    (first,) = take(world)
    emits = [Emission("download", b'{"v":1}', once) for once in ("a", "c", "d")]
    emits += [Emission("download", b'{"v":1}', "", "pages"), Emission("download", b'{"v":1}', "e", "pages")]
    world.complete(A, Completion(first, tuple(emits), collected=2, missing=1))
    kept = world.model.jobs[job.job_id]
    assert sorted(kept.tasks) == [3, 4, 5]
    finish(world)


@scenario
def a_replay_from_compile_or_notify_opens_that_alone(world: World) -> None:
    for stage, missing in TAIL:
        job = replayed(f"{stage}{missing}", (8, stage), missing=missing, reused=3)
        world.replay(job)
        finish(world)
        kept = world.model.jobs[job.job_id]
        assert kept.status is (JobStatus.PARTIAL if missing else JobStatus.SUCCEEDED)


@scenario
def a_dead_compile_of_a_replay_is_redriven(world: World) -> None:
    job = replayed("r", (8, "compile"))
    world.replay(job)
    bury(world, *take(world))
    finish(world)
    kept = world.model.jobs[job.job_id]
    world.redrive(*letters_of(kept, "compile"))
    finish(world)
    assert kept.ended == {1: JobStatus.FAILED, 2: JobStatus.SUCCEEDED}


@scenario
def a_replay_that_was_cancelled_is_not_opened_further(world: World) -> None:
    job = replayed("r", *FIVE)
    world.replay(job, calls=slice(1))
    world.cancel(world.model.jobs[job.job_id])
    assert world.replay(job) == [Code.DUPLICATE, Code.DROPPED, Code.DUPLICATE]
    finish(world)


@scenario
def a_replay_whose_id_is_another_jobs_is_refused(world: World) -> None:
    world.submit(new_job("r"))
    job = replayed("r", (1, "crawl"))
    assert world.replay(job) == [Code.CONFLICT]
    world.lose_identity(job.job_id)
    assert world.replay(job) == [Code.CONFLICT]


@scenario
def a_replay_that_is_forgotten_already_is_not_opened_again(world: World) -> None:
    job = replayed("r", (1, "crawl"))
    world.replay(job)
    finish(world)
    world.lose_record(job.job_id)
    assert world.replay(job) == [Code.UNKNOWN_JOB]


@scenario
def a_replay_is_known_by_its_record_when_its_identity_is_forgotten(world: World) -> None:
    job = replayed("r", *FIVE)
    world.replay(job, calls=slice(2))
    world.lose_identity(job.job_id)
    assert world.replay(job) == [Code.DUPLICATE, Code.DUPLICATE, Code.OK]
    (entry, *_) = take(world)
    world.complete(A, Completion(entry, out("extract", 1)))
    finish(world)
