"""Situations of a job that a random walk seldom meets, most of them once a bug: windows, join, revisions, limits.

They assert little: after every step the world compares the server with the model.
"""

from __future__ import annotations

from streams.moves import RELEASED, Beat, Completion, Emission, PutBack
from streams.scripts import Code
from streams.states import JobStatus
from tests.integration.model.partition import Claim
from tests.integration.model.staging import A, B, begun, bury, compiled, done, letters_of, out, scenario, seen, take
from tests.integration.model.world import World, new_job


@scenario
def parked_tasks_are_let_in_oldest_first_and_never_beyond_the_window(world: World) -> None:
    _, first = begun(world)
    world.complete(A, Completion(first, out("crawl", 6)))
    for _ in range(4):
        if held := take(world):
            world.complete(A, Completion(held[0], out("crawl", 2)))
            bury(world, *held[1:])
    while left := take(world):
        done(world, *left)


@scenario
def a_window_that_became_wider_is_filled(world: World) -> None:
    _, first = begun(world)
    world.complete(A, Completion(first, out("crawl", 5)))
    world.routes.windows["crawl"] = 4
    one, _ = take(world)
    done(world, one)
    assert len(take(world)) == 3


@scenario
def a_job_emits_a_key_once_and_keeps_to_its_budget(world: World) -> None:
    job, first = begun(world, budgets={"pages": 2})
    emits = [Emission("crawl", b'{"v":1}', once, "pages") for once in ("a", "a", "b", "c", "c", "a", "")]
    emits += [Emission("crawl", b'{"v":1}', "c", "other"), Emission("crawl", b'{"v":1}', "", "pages")]
    world.complete(A, Completion(first, tuple(emits)))
    assert job.over_budget == 4
    assert len(job.tasks) == 4


@scenario
def what_follows_a_job_follows_its_success_wholly_or_in_part_and_not_its_failure(world: World) -> None:
    for name, dies in (("whole", ()), ("part", (0,)), ("none", (0, 1))):
        _, first = begun(world, name, follow_up=b'{"flow":"f"}')
        if len(dies) == 2:
            bury(world, first)
        else:
            world.complete(A, Completion(first, out("download", 2)))
            downloads = take(world)
            bury(world, *(downloads[at] for at in dies))
            done(world, *(one for at, one in enumerate(downloads) if at not in dies))
        while left := take(world):
            done(world, *left)
    assert set(world.model.waiting) == {"then/0-whole", "then/0-part"}


@scenario
def until_stage_stops_the_job_there(world: World) -> None:
    for name, until in (("a", "crawl"), ("b", "classify"), ("c", "compile"), ("d", "notify")):
        _, first = begun(world, name, until_stage=until)
        world.complete(A, Completion(first, (*out("crawl"), *out("classify"), *out("download"))))
        opened = take(world)
        bury(world, *opened[:1])
        done(world, *opened[1:])
        while left := take(world):
            done(world, *left)


@scenario
def a_job_in_which_nothing_was_done_fails_and_comes_back_by_retry(world: World) -> None:
    job, first = begun(world, limit_ms=100)
    world.advance(50)
    bury(world, first)
    assert job.status is JobStatus.FAILED
    world.retry_job(job)
    world.advance(60)
    (again,) = [e for e in take(world) if e.name.stage == "crawl"]
    assert world.heartbeat(A, Beat(again)) == [Code.OK]


@scenario
def a_redrive_while_compile_runs_waits_for_it_as_the_next_revision(world: World) -> None:
    job, compile_ = compiled(world, 1)
    world.redrive(*letters_of(job, "download"))
    world.release(A, compile_)
    (compile_,) = world.reclaim(B, seen(compile_, RELEASED))
    world.start(B, compile_)
    done(world, *take(world))
    assert job.is_compile_due
    done(world, compile_, worker=B)
    done(world, *take(world))
    assert job.ended == {1: JobStatus.SUCCEEDED, 2: JobStatus.SUCCEEDED}


@scenario
def a_late_redrive_holds_back_the_compile_that_was_due(world: World) -> None:
    job, compile_ = compiled(world, 2)
    one, two = letters_of(job, "download")
    world.redrive(one)
    done(world, *take(world))
    world.redrive(two)
    done(world, compile_)
    assert not job.open("compile")
    done(world, *[e for e in take(world) if e.name.stage == "download"])
    while left := take(world):
        done(world, *left)
    assert len(job.ended) == 2


@scenario
def a_compile_that_dies_is_made_up_for_by_the_one_that_follows(world: World) -> None:
    job, compile_ = compiled(world)
    world.redrive(*letters_of(job, "download"))
    bury(world, compile_)
    world.redrive(*letters_of(job, "compile"))
    while left := take(world):
        done(world, *left)
    assert job.status is JobStatus.SUCCEEDED


@scenario
def a_dead_compile_of_an_old_revision_asks_for_one_more(world: World) -> None:
    job, compile_ = compiled(world)
    world.redrive(*letters_of(job, "download"))
    bury(world, compile_)
    done(world, *[e for e in take(world) if e.name.stage == "download"])
    assert job.open("compile") == 1
    world.redrive(*letters_of(job, "compile"))
    while left := take(world):
        done(world, *left)
    assert sorted(job.ended) == [1, 2, 3]


@scenario
def retry_takes_dead_work_and_dead_compile_as_one_revision(world: World) -> None:
    job, compile_ = compiled(world, 2)
    bury(world, compile_)
    assert job.status is JobStatus.FAILED
    world.retry_job(job)
    while left := take(world):
        done(world, *left)
    assert job.ended == {1: JobStatus.FAILED, 2: JobStatus.SUCCEEDED}


@scenario
def a_dead_compile_alone_is_compiled_again(world: World) -> None:
    job, compile_ = compiled(world, 0)
    bury(world, compile_)
    world.retry_job(job)
    while left := take(world):
        done(world, *left)
    assert job.status is JobStatus.SUCCEEDED


@scenario
def a_dead_compile_of_a_revision_that_is_over_does_not_make_the_next_one_partial(world: World) -> None:
    job, compile_ = compiled(world)
    world.redrive(*letters_of(job, "download"))
    bury(world, compile_)
    while left := take(world):
        done(world, *left)
    assert job.ended == {1: JobStatus.FAILED, 2: JobStatus.SUCCEEDED}
    assert letters_of(job, "compile")


@scenario
def a_notification_of_the_last_revision_does_not_end_the_next_one(world: World) -> None:
    job, compile_ = compiled(world, 1)
    done(world, compile_)
    (notify,) = take(world)
    world.retry_job(job)
    bury(world, notify)
    assert not job.is_ended
    while left := take(world):
        done(world, *left)
    assert job.ended[2] is JobStatus.SUCCEEDED, "a dead notification leaves nothing out"
    world.retry_job(job)
    done(world, *take(world))
    assert job.revision == 2


@scenario
def a_job_that_begins_at_notify_ends_with_it(world: World) -> None:
    sent, first = begun(world, "a", stage="notify")
    done(world, first)
    lost, second = begun(world, "b", stage="notify")
    bury(world, second)
    assert (sent.status, lost.status) == (JobStatus.SUCCEEDED, JobStatus.FAILED)


@scenario
def a_job_past_its_time_limit_fails_and_tells_so(world: World) -> None:
    job, first = begun(world, limit_ms=100)
    world.emit(A, first, 1, *out("download", 2))
    second, third = world.read(B)
    world.advance(60)
    world.start(B, second)
    world.release(B, second)
    world.put_back(A, "snooze", PutBack(first, 0, "busy"))
    world.advance(500)
    world.promote("task/0-j/1")
    (first,) = take(world)
    assert world.heartbeat(A, Beat(first)) == [Code.OK], "waits are not counted"
    world.start(A, first)
    world.advance(41)
    assert world.heartbeat(A, Beat(first)) == [Code.CLOSED]
    assert world.start(B, third)[0][0] == Code.CLOSED
    world.reclaim(A, seen(third, B))
    assert world.cancel(job, JobStatus.FAILED, kill=True) == Code.OK
    (notify,) = world.read(A)
    assert world.start(A, notify)[0][0] == Code.OK
    assert world.heartbeat(A, Beat(notify)) == [Code.OK]
    bury(world, first)
    done(world, notify)


@scenario
def a_failed_job_is_not_redriven_before_it_has_stopped(world: World) -> None:
    job, first = begun(world)
    world.emit(A, first, 1, *out("download", 2))
    one, two = take(world)
    bury(world, one)
    world.cancel(job, JobStatus.FAILED, kill=True)
    (letter,) = letters_of(job, "download")
    assert world.redrive(letter) == [Code.CLOSED]
    done(world, first, two)
    assert world.redrive(letter, letter, ("1-1", "")) == [Code.OK, Code.NOT_FOUND, Code.NOT_FOUND]
    assert not job.is_killed
    while left := take(world):
        done(world, *left)


@scenario
def a_job_that_failed_while_a_compile_was_due_compiles_once_when_it_comes_back(world: World) -> None:
    job, compile_ = compiled(world, 2)
    one, two = letters_of(job, "download")
    world.redrive(one)
    done(world, *take(world))
    assert job.is_compile_due
    world.cancel(job, JobStatus.FAILED)
    done(world, compile_)
    world.redrive(two)
    while left := take(world):
        done(world, *left)
    assert sorted(job.ended) == [2, 3]


@scenario
def a_dead_letter_of_a_cancelled_or_vanished_job_stays(world: World) -> None:
    job, first = begun(world, "a")
    world.emit(A, first, 1, *out("download"))
    bury(world, *take(world))
    world.cancel(job)
    (letter,) = letters_of(job, "download")
    assert world.redrive(letter) == [Code.CLOSED]
    world.lose_record(job.job_id)
    assert world.redrive(letter) == [Code.UNKNOWN_JOB]


@scenario
def the_same_submission_is_known_by_its_record_when_the_window_has_passed(world: World) -> None:
    world.submit(new_job("a"))
    world.lose_identity("0-a")
    assert world.submit(new_job("a"), new_job("a", spec=b"other")) == [Code.DUPLICATE, Code.CONFLICT]


@scenario
def cancel_drops_no_notification_and_no_task_that_is_not_there(world: World) -> None:
    world.submit(new_job("a", stage="notify"), new_job("b", until_stage="crawl"), new_job("c"))
    world.cancel_as_told("0-a", [Claim(1, "notify", "notify", world.model.streams["notify"][0].entry_id)])
    world.cancel(world.model.jobs["0-b"])
    world.cancel_as_told("0-c", [Claim(99, "crawl"), Claim(99, "crawl", "crawl", "1-1")])


@scenario
def one_emission_more_than_the_window_is_parked(world: World) -> None:
    job, first = begun(world)
    world.emit(B, first, 1, *out("download", 3))
    world.emit(A, first, 1, *out("download", 3))
    world.complete(A, Completion(first, out("download"), is_touched=True))
    assert len(job.parked["download"]) == 1


@scenario
def a_dead_letter_of_a_cancelled_job_that_has_stopped_stays(world: World) -> None:
    job, first = begun(world)
    world.emit(A, first, 1, *out("download"))
    bury(world, *take(world))
    world.cancel(job)
    done(world, first, *take(world))
    assert world.redrive(*letters_of(job, "download")) == [Code.CLOSED]


@scenario
def each_compile_says_anew_what_is_missing(world: World) -> None:
    job, compile_ = compiled(world, dead=1)
    world.complete(A, Completion(compile_, missing=2, is_touched=True))
    assert (job.status, job.missing) == (JobStatus.PARTIAL, 2)
    done(world, *take(world))
    world.retry_job(job)
    done(world, *take(world))
    done(world, *take(world))
    assert (job.status, job.missing) == (JobStatus.SUCCEEDED, 0)


@scenario
def a_full_backlog_refuses_what_is_new_and_knows_what_is_not(world: World) -> None:
    world.bound_backlog(5)
    late = world.model.now + 50
    assert world.submit(*(new_job(f"l{n}", lane="low") for n in range(5))) == [Code.OK] * 4 + [Code.FULL]
    assert world.submit(new_job("l0", lane="low"), new_job("l0", lane="low", spec=b"other")) == [
        Code.DUPLICATE, Code.CONFLICT,
    ]  # fmt: skip
    assert world.submit(new_job("h0", lane="high"), new_job("h1", lane="high")) == [Code.OK, Code.FULL]
    assert world.submit(new_job("owed", is_owed=True), new_job("n", stage="extract")) == [Code.OK] * 2
    assert world.submit(*(new_job(f"d{n}", run_at_ms=late) for n in range(5))) == [Code.OK] * 4 + [Code.FULL]
    assert world.submit(new_job("past", run_at_ms=world.model.now - 5, stage="extract")) == [Code.OK]
    world.bound_backlog(0)
    assert world.submit(new_job("l4", lane="low")) == [Code.OK]


@scenario
def a_spilled_frontier_comes_back_in_order_as_the_window_frees(world: World) -> None:
    job, first = begun(world)
    world.complete(A, Completion(first, out("crawl", 12)))
    one, _ = world.spill(job.job_id, "crawl", 6, 4)
    two, _ = world.spill(job.job_id, "crawl", 2, 3)
    assert [row if isinstance(row, str) else row[0] for row in job.parked_list("crawl")] == [
        4, 5, f"@3 {two}", 9, f"@4 {one}",
    ]  # fmt: skip
    numbers = []
    for _ in range(20):
        for entry in take(world, count=1):
            numbers.append(int(entry.task))
            done(world, entry)
        for task in [task for task in job.parked["crawl"][:1] if task.chunk]:
            assert f"unspill/{job.job_id}/crawl" in world.model.timers
            world.unspill(job.job_id, "crawl", task.chunk)
    assert numbers[:12] == list(range(2, 14))
    assert not [timer for timer in world.model.timers if timer.startswith("unspill/")]


@scenario
def what_is_emitted_behind_a_spilled_frontier_waits_behind_it(world: World) -> None:
    job, first = begun(world)
    world.emit(A, first, 1, *out("crawl", 4))
    chunk, _ = world.spill(job.job_id, "crawl", 0, 3)
    done(world, *take(world))
    assert job.open("crawl") == 4
    world.emit(A, first, 5, *out("crawl"))
    assert [task.number for task in job.parked["crawl"]] == [3, 4, 5, 6]
    world.unspill(job.job_id, "crawl", chunk)
    assert [task.number for task in job.parked["crawl"]] == [4, 5, 6]


@scenario
def a_spill_of_what_was_let_in_meanwhile_is_refused(world: World) -> None:
    job, first = begun(world)
    world.emit(A, first, 1, *out("crawl", 7))
    chunk, _ = world.spill(job.job_id, "crawl", 2, 2)
    job_id = job.job_id
    assert world.spill(job_id, "crawl", 0, 0, chunk)[1] == Code.DUPLICATE
    world.chunks["late"] = world.server.redis.lrange(world.keys.parked(job_id, "crawl"), 0, 1)
    world.chunks["across"] = [world.chunks["late"][1], world.chunks[chunk][0]]
    done(world, *take(world))
    assert world.spill(job_id, "crawl", 0, 0, "late")[1] == Code.NOT_FOUND
    assert world.spill(job_id, "crawl", 0, 0, "across")[1] == Code.NOT_FOUND
    assert world.unspill(job_id, "crawl", chunk) == Code.OK
    assert world.unspill(job_id, "crawl", chunk) == Code.NOT_FOUND
    world.lose_record(job_id)
    assert world.spill(job_id, "crawl", 0, 0, chunk)[1] == Code.UNKNOWN_JOB
    assert world.unspill(job_id, "crawl", chunk) == Code.UNKNOWN_JOB


@scenario
def cancelling_drops_what_is_spilled_and_has_its_chunks_removed(world: World) -> None:
    job, first = begun(world)
    world.emit(A, first, 1, *out("crawl", 6), *out("download", 5))
    chunk, _ = world.spill(job.job_id, "crawl", 1, 3)
    world.cancel(job)
    assert list(world.model.timers) == [f"unspill/{job.job_id}/crawl"]
    assert world.spill(job.job_id, "crawl", 0, 0, chunk)[1] == Code.NOT_FOUND
    assert world.unspill(job.job_id, "crawl", chunk) == Code.DROPPED
    done(world, first, *take(world))


@scenario
def long_lists_are_asked_to_be_spilled_and_chunks_for_before_they_are_next(world: World) -> None:
    job, first = begun(world)
    spill, unspill = f"spill/{job.job_id}/download", f"unspill/{job.job_id}/download"
    world.emit(A, first, 1, *out("download", 258))
    assert spill not in world.model.timers
    world.emit(A, first, 259, *out("download"))
    assert spill in world.model.timers
    chunk, _ = world.spill(job.job_id, "download", 66, 100)
    world.advance(5)
    bury(world, take(world, count=1)[0])
    assert unspill not in world.model.timers
    done(world, take(world, count=1)[0])
    assert unspill in world.model.timers
    assert world.unspill(job.job_id, "download", "") == Code.OK
    assert unspill in world.model.timers, "it is near, and asked for again"
    world.unspill(job.job_id, "download", chunk)
    assert unspill not in world.model.timers
    world.cancel(job)
