"""Situations of an entry that a random walk seldom meets: leases, timers, strays, dead letters.

They assert little: after every step the world compares the server with the model.
"""

from __future__ import annotations

from dataclasses import replace

from streams.moves import RELEASED, Beat, Completion, Death, PutBack
from streams.scripts import Code
from streams.states import JobStatus, TaskState
from tests.integration.model.partition import Claim
from tests.integration.model.staging import A, B, begun, bury, compiled, done, letters_of, out, scenario, seen, take
from tests.integration.model.world import World, claim_of, new_job


@scenario
def cancel_and_expiry_need_no_group(world: World) -> None:
    world.submit(new_job("a"), new_job("b", expires_at_ms=world.model.now + 5, lane="high"))
    world.cancel(world.model.jobs["0-a"])
    job = world.model.jobs["0-b"]
    world.advance(5)
    here = claim_of(job, 1) or Claim(1, "crawl")
    assert world.expire(job.job_id, here) == Code.OK
    assert world.expire(job.job_id, here) == Code.DROPPED


@scenario
def an_expiry_that_looks_in_the_wrong_place_is_looked_at_again(world: World) -> None:
    now = world.model.now
    world.submit(
        new_job("a", run_at_ms=now + 5, expires_at_ms=now + 9),
        new_job("b", run_at_ms=now + 50, expires_at_ms=now + 9),
        new_job("c", expires_at_ms=now + 9),
        new_job("d", expires_at_ms=now + 9),
    )
    in_timers = Claim(1, "crawl")
    assert world.expire("0-a", in_timers) == Code.DROPPED, "not due"
    world.advance(10)
    world.promote("task/0-a/1", "task/0-b/1", "task/0-none/1")
    assert world.expire("0-a", in_timers) == Code.UNKNOWN_TASK
    assert world.expire("0-a", claim_of(world.model.jobs["0-a"], 1) or in_timers) == Code.OK
    assert world.expire("0-b", Claim(1, "crawl", "crawl", "1-1")) == Code.UNKNOWN_TASK
    assert world.expire("0-b", in_timers) == Code.OK
    assert not [member for member in world.model.timers if member.endswith("/0-b/1")]
    held, started = world.read(A)[:2]
    assert world.expire("0-c", claim_of(world.model.jobs["0-c"], 1) or in_timers) == Code.DROPPED, "it was read"
    world.start(A, held, started)
    world.lose_record("0-d")
    assert world.expire("0-d", in_timers) == Code.UNKNOWN_JOB


@scenario
def what_runs_is_told_that_its_job_is_over(world: World) -> None:
    job, first = begun(world)
    world.emit(A, first, 1, *out("crawl", 1))
    world.emit(A, first, 1, *out("crawl", 2))
    world.emit(A, first, 1, *out("crawl", 2))
    (second,) = take(world, B)
    assert world.heartbeat(A, Beat(first, 20.0, "half", b"1")) == [Code.OK]
    world.heartbeat(A, Beat(first, 10.0))
    assert world.cancel(job) == Code.OK
    assert world.heartbeat(A, Beat(first)) == [Code.DROPPED]
    assert world.cancel(job, kill=True) == Code.OK
    assert world.heartbeat(A, Beat(first)) == [Code.KILL]
    assert world.emit(A, first, 3, *out("crawl")) == Code.DROPPED
    (notify,) = take(world)
    assert world.heartbeat(A, Beat(notify)) == [Code.OK]
    world.put_back(A, "snooze", PutBack(notify, 5, "busy"))
    world.put_back(A, "retry", PutBack(first, 5, "down"))
    world.advance(9)
    world.promote("task/0-j/4", "task/0-j/1")
    done(world, *take(world))
    world.put_back(B, "snooze", PutBack(second, 5, "busy"))
    assert world.cancel(job, JobStatus.FAILED) == Code.CLOSED


@scenario
def what_waited_when_its_job_ended_is_dropped_wherever_it_turns_up(world: World) -> None:
    for name, settle in (("a", "start"), ("b", "promote"), ("c", "dead_letter"), ("d", "complete")):
        job, first = begun(world, name, until_stage="crawl", limit_ms=500)
        if settle == "promote":
            world.put_back(A, "retry", PutBack(first, 5, "down"))
        world.cancel_as_told(job.job_id, [Claim(1, "crawl", "crawl", "1-1")])
        world.advance(7)
        if settle == "start":
            assert world.start(A, first)[0][0] == Code.DROPPED
        elif settle == "promote":
            assert world.promote(f"task/{job.job_id}/1") == [Code.DROPPED]
        elif settle == "dead_letter":
            bury(world, first)
        else:
            done(world, first)
        assert job.tasks[1].state is TaskState.DROPPED


@scenario
def moves_on_a_vanished_job_are_refused(world: World) -> None:
    _, first = begun(world)
    world.emit(A, first, 1, *out("download", 2))
    second, third = take(world)
    world.put_back(A, "retry", PutBack(third, 0, "down"))
    world.lose_record("0-j")
    assert world.emit(A, first, 3, *out("download")) == Code.UNKNOWN_JOB
    assert world.put_back(A, "retry", PutBack(first, 0, "down")) == [Code.UNKNOWN_JOB]
    assert world.heartbeat(A, Beat(first, 5.0, "x", b"y")) == [Code.UNKNOWN_JOB]
    assert world.start(A, first)[0][0] == Code.UNKNOWN_JOB
    assert world.dead_letter(A, Death(first, "x")) == [Code.UNKNOWN_JOB]
    done(world, first)
    assert world.release(A, first) == [Code.UNKNOWN_JOB]
    assert world.promote("task/0-j/3") == [Code.UNKNOWN_JOB]
    assert world.cancel_as_told("0-j", []) == Code.UNKNOWN_JOB
    assert world.submit(new_job("j")) == [Code.DUPLICATE]
    world.reclaim(B, seen(second, A))


@scenario
def an_entry_that_names_another_task_is_refused_by_every_move(world: World) -> None:
    _, first = begun(world)
    world.emit(A, first, 1, *out("crawl"))
    (second,) = take(world)
    second.task = "1"
    assert world.put_back(A, "snooze", PutBack(second, 0, "x")) == [Code.UNKNOWN_TASK]
    assert world.heartbeat(A, Beat(second, checkpoint=b"1")) == [Code.UNKNOWN_TASK]
    assert world.emit(A, second, 1, *out("crawl")) == Code.UNKNOWN_TASK
    assert world.dead_letter(A, Death(second, "x")) == [Code.UNKNOWN_TASK]
    assert world.start(A, second)[0][0] == Code.UNKNOWN_TASK
    done(world, second)
    assert world.release(A, second) == [Code.UNKNOWN_TASK]


@scenario
def what_runs_at_once_begins_its_job_when_it_ends(world: World) -> None:
    world.submit(*map(new_job, "abcd"))
    entries = world.read(A)
    assert [row[-1] for row in world.start(A, *entries, at_once=True)] == [0, 0, 0, 0], "none is marked"
    world.advance(3)
    first, second, third, fourth = entries
    world.complete(A, Completion(first, out("classify"), missing=1))
    world.put_back(A, "snooze", PutBack(second, 5, "x"))
    bury(world, third)
    world.complete(A, Completion(fourth), Completion(replace(fourth, delivery=2)))
    jobs = [world.model.jobs[f"0-{name}"] for name in "abcd"]
    assert JobStatus.QUEUED not in {job.status for job in jobs}
    while jobs[0].status is JobStatus.RUNNING:
        done(world, *take(world))
    assert jobs[0].status is JobStatus.PARTIAL, "something was missing"


@scenario
def a_late_holder_is_refused_by_every_move(world: World) -> None:
    _, first = begun(world)
    (taken,) = world.reclaim(B, seen(first, A))
    for entry in (first, taken):
        assert world.put_back(A, "retry", PutBack(entry, 0, "x")) == [Code.SUPERSEDED]
        assert world.heartbeat(A, Beat(entry)) == [Code.SUPERSEDED]
        assert world.emit(A, entry, 1, *out("crawl")) == Code.SUPERSEDED
        assert world.dead_letter(A, Death(entry, "x")) == [Code.SUPERSEDED]
        assert world.release(A, entry) == [Code.SUPERSEDED]
        done(world, entry)
        assert world.start(A, entry)[0][0] == Code.SUPERSEDED
    world.start(B, taken)
    world.release(B, taken)
    assert world.start(A, first)[0][0] == Code.SUPERSEDED
    (again,) = world.reclaim(A, seen(taken, RELEASED))
    done(world, again)
    assert world.start(A, again)[0][0] == Code.OK
    done(world, again)
    assert world.heartbeat(A, Beat(again)) == [Code.NOT_PENDING]


@scenario
def a_heartbeat_renews_the_lease_so_that_a_sweep_passes_it_by(world: World) -> None:
    _, first = begun(world)
    world.age(first, A)
    assert world.idle_ms(first) >= 60_000
    world.heartbeat(A, Beat(first))
    assert world.idle_ms(first) < 60_000
    assert world.reclaim(B, seen(first, A), is_idle=False) == []
    world.reclaim(B, seen(first, A), to=RELEASED)
    assert world.reclaim(B, seen(first, RELEASED))[0].delivery == 2


@scenario
def a_foreign_entry_is_adopted_once(world: World) -> None:
    for _ in range(3):
        world.put("crawl:high", {"flow": "f", "data": '{"v":1}'})
    one, two, three = world.read(A)
    assert world.adopt(A, one, "0-x") == Code.OK
    assert world.adopt(A, one, "0-x") == Code.NOT_PENDING
    assert world.adopt(A, two, "0-x") == Code.DUPLICATE
    assert world.adopt(B, three, "0-y") == Code.SUPERSEDED
    world.dead_letter(A, Death(three, "bad_json", is_stray=True))
    done(world, *take(world))


@scenario
def nothing_is_trimmed_that_a_required_group_needs(world: World) -> None:
    world.trim(1.0, 10, ("archive",))
    for sequence in range(1, 7):
        world.server.redis.xadd(world.keys.lifecycle, {"type": "x"}, id=f"5-{sequence}")
        world.lifecycle.append(f"5-{sequence}")
    world.lifecycle_at = "5-6"
    world.follow("archive", 5, acked=True)
    world.follow("history", 3, acked=False)
    world.trim(1.0, 10, ("archive", "none"))
    world.trim(0.3, 10, ("archive",))
    world.trim(1.0, 10, ("archive", "history"))
    world.follow("history", 1, acked=True)
    world.trim(0.5, 1, ("archive", "history"))
    world.trim(1.0, 10, ("archive", "history"))
    world.trim(1.0, 10, ("archive",))


@scenario
def a_stray_that_names_a_task_of_ours_is_not_redriven_as_it(world: World) -> None:
    job, first = begun(world)
    world.put("crawl", {"job": job.job_id, "task": "1", "flow": "f", "data": "{}"})
    (stray,) = world.read(A)
    world.dead_letter(A, Death(stray, "unknown_task", is_stray=True))
    assert world.redrive((world.model.dlq[0].entry_id, "")) == [Code.UNKNOWN_TASK]
    bury(world, first)
    assert world.redrive((world.model.dlq[0].entry_id, "")) == [Code.UNKNOWN_TASK]


@scenario
def what_waits_for_its_time_goes_with_its_job(world: World) -> None:
    now = world.model.now
    world.submit(
        new_job("a", run_at_ms=now + 50),
        new_job("b", until_stage="crawl", expires_at_ms=now + 5, lane="high"),
        new_job("c", until_stage="crawl", expires_at_ms=now + 5, run_at_ms=now + 50),
    )
    world.cancel(world.model.jobs["0-a"])
    world.advance(5)
    assert world.expire("0-b", claim_of(world.model.jobs["0-b"], 1) or Claim(1, "crawl")) == Code.OK
    assert world.expire("0-c", Claim(1, "crawl")) == Code.OK


@scenario
def what_cannot_be_acted_on_is_rejected_once(world: World) -> None:
    for entry_id in ("7-1", "7-1", "7-2"):
        world.reject(entry_id)


@scenario
def cancel_drops_what_nobody_has_read(world: World) -> None:
    job, first = begun(world)
    world.emit(A, first, 1, *out("crawl"))
    world.cancel(job)
    done(world, first)
    assert not world.model.streams["crawl"]


@scenario
def a_task_that_was_redriven_often_stays_unless_that_is_meant(world: World) -> None:
    job, first = begun(world)
    world.complete(A, Completion(first, out("extract", 2)))
    for often in range(3):
        bury(world, *take(world))
        assert job.tasks[2].letter is not None
        assert job.tasks[2].letter.fields["redriven"] == str(often)
        if often < 2:
            assert world.redrive(*letters_of(job, "extract"), most=2) == [Code.OK, Code.OK]
    assert world.redrive(*letters_of(job, "extract"), most=2) == [Code.QUARANTINED, Code.QUARANTINED]
    assert world.redrive(letters_of(job, "extract")[0], most=3) == [Code.OK]
    bury(world, *take(world))
    for _ in range(2):
        world.retry_job(job)
        bury(world, *take(world))
    world.retry_job(job)
    assert job.tasks[3].letter is None
    bury(world, *take(world))
    world.retry_job(job)
    assert [task.state for task in (job.tasks[2], job.tasks[3])] == [TaskState.DEAD, TaskState.DEAD]


@scenario
def what_is_given_up_is_closed_and_counts_as_missing(world: World) -> None:
    job, compile_ = compiled(world, dead=2)
    one, two = (entry_id for entry_id, _ in letters_of(job, "download"))
    assert world.drop(one, one, "1-1") == [Code.OK, Code.NOT_FOUND, Code.NOT_FOUND]
    done(world, compile_)
    assert job.status is JobStatus.PARTIAL
    done(world, *take(world))
    assert world.drop(two) == [Code.OK]
    assert job.missing == 2
    world.put("crawl", {"flow": "f", "data": "{}"})
    (stray,) = world.read(A)
    world.dead_letter(A, Death(stray, "bad_json", is_stray=True))
    assert world.drop(world.model.dlq[0].entry_id) == [Code.OK]
    lost, entry = begun(world, "lost")
    bury(world, entry)
    entry_id = world.model.dlq[0].entry_id
    world.lose_record(lost.job_id)
    assert world.drop(entry_id) == [Code.OK]


@scenario
def a_dead_compile_that_is_given_up_is_missing_nowhere(world: World) -> None:
    job, compile_ = compiled(world, dead=1)
    bury(world, compile_)
    ((letter, _),) = letters_of(job, "compile")
    assert world.drop(letter) == [Code.OK]
    assert job.missing == 0


@scenario
def what_a_pause_held_has_not_begun(world: World) -> None:
    job = new_job("held", limit_ms=500, expires_at_ms=world.model.now + 50)
    world.submit(job)
    (entry,) = world.read(A)
    world.put_back(A, "snooze", PutBack(entry, 10, "paused", is_held=True))
    record = world.model.jobs[job.job_id]
    assert record.status is JobStatus.QUEUED
    world.advance(20)
    world.promote(f"task/{job.job_id}/1")
    (entry,) = world.read(A)
    world.put_back(A, "snooze", PutBack(entry, 1_000, "paused", is_held=True))
    world.advance(100)
    assert world.expire(job.job_id, Claim(1, "crawl")) is Code.OK
