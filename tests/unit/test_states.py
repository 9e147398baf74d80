"""The transition table makes sense by itself."""

from __future__ import annotations

import pytest

from streams.states import CLOSED, ENDED, JOB_MOVES, TASK_MOVES, JobStatus, TaskState, may_move, shown_status

T = TaskState


def reachable(moves: dict[str, dict[object, tuple[object, ...]]]) -> set[object]:
    found: set[object] = {None}
    while True:
        more = {
            after for rows in moves.values() for before, afters in rows.items() if before in found for after in afters
        }
        if more <= found:
            return found - {None}
        found |= more


def test_every_task_state_can_be_reached() -> None:
    assert reachable(TASK_MOVES) == set(TaskState)  # type: ignore[arg-type]


def test_every_stored_job_status_can_be_reached() -> None:
    assert reachable(JOB_MOVES) == set(JobStatus) - {JobStatus.RETRYING}  # type: ignore[arg-type]


def test_done_and_dropped_are_for_good() -> None:
    for rows in TASK_MOVES.values():
        assert not {T.DONE, T.DROPPED} & set(rows)


def test_from_every_other_state_a_task_can_end() -> None:
    for state in set(TaskState) - {T.DONE, T.DROPPED}:
        seen, found = {state}, {state}
        while found:
            found = {after for rows in TASK_MOVES.values() for s in found for after in rows.get(s, ())} - seen
            seen |= found
        assert {T.DONE, T.DROPPED} <= seen, state


def test_only_redrive_brings_a_dead_letter_back() -> None:
    assert [move for move, rows in TASK_MOVES.items() if T.DEAD in rows] == ["redrive", "drop"]


def test_cancelled_and_expired_jobs_stay_so() -> None:
    for rows in JOB_MOVES.values():
        assert not {JobStatus.CANCELLED, JobStatus.EXPIRED} & set(rows)


def test_closed_is_a_part_of_ended() -> None:
    assert CLOSED < ENDED < set(JobStatus)


@pytest.mark.parametrize(
    ("move", "before", "after", "is_allowed"),
    [
        ("complete", T.RUNNING, T.DONE, True),
        ("complete", T.QUEUED, T.DONE, False),
        ("complete", T.DONE, T.DONE, False),
        ("retry", T.RUNNING, T.DELAYED, True),
        ("cancel", T.RUNNING, T.DROPPED, False),
        ("submit", None, T.QUEUED, True),
        ("submit", T.QUEUED, T.QUEUED, False),
    ],
)
def test_may_move(move: str, before: TaskState | None, after: TaskState, is_allowed: bool) -> None:  # noqa: FBT001
    assert may_move(move, before, after) is is_allowed


@pytest.mark.parametrize(
    ("stored", "open_tasks", "delayed", "running", "shown"),
    [
        ("running", 2, 2, 0, "retrying"),
        ("running", 2, 1, 0, "running"),
        ("running", 2, 2, 1, "running"),
        ("running", 0, 0, 0, "running"),
        ("queued", 1, 1, 0, "queued"),
        ("failed", 1, 1, 0, "failed"),
    ],
)
def test_a_job_whose_open_tasks_all_wait_is_shown_as_retrying(
    stored: str, open_tasks: int, delayed: int, running: int, shown: str
) -> None:
    assert shown_status(stored, open_tasks=open_tasks, delayed=delayed, running=running) == shown
