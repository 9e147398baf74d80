"""The scripts do what the reference model, built on the transition table, says they do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from streams.states import TASK_MOVES, TaskState
from tests.integration.model.scenarios import SCENARIOS
from tests.integration.model.server import Server
from tests.integration.model.walk import walk
from tests.integration.model.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST_SEED = int(os.environ.get("MILLRACE_MODEL_SEED", "0"))
WALKS = int(os.environ.get("MILLRACE_MODEL_WALKS", "40"))
"""A longer run: ``MILLRACE_MODEL_SEED=1000 MILLRACE_MODEL_WALKS=5000``."""
STEPS = 150
LOSING_EVERY = 4


@pytest.fixture(scope="module")
def server(valkey_url: str) -> Server:
    return Server(valkey_url)


@pytest.fixture
def world(server: Server, namespace: str) -> Iterator[World]:
    yield World(server, namespace)
    server.forget(namespace)


@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_scenario(run: Callable[[World], None], world: World) -> None:
    run(world)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + WALKS))
def test_random_walk(seed: int, world: World) -> None:
    walk(world, seed, STEPS, losing=seed % LOSING_EVERY == LOSING_EVERY - 1)


def test_the_walks_make_every_move_of_the_table(
    server: Server, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.integration.model.entities import Task  # noqa: PLC0415 - patched below

    made: set[tuple[str, TaskState | None, TaskState]] = set()
    move = Task.move

    def remembered(task: Task, name: str, after: TaskState) -> None:
        made.add((name, task.state, after))
        move(task, name, after)

    monkeypatch.setattr(Task, "move", remembered)
    for number, run in enumerate(SCENARIOS):
        run(World(server, f"{namespace}s{number}"))
    for seed in range(12):
        walk(World(server, f"{namespace}w{seed}"), seed, STEPS)
    server.forget(namespace)
    allowed = {
        (name, before, after)
        for name, rows in TASK_MOVES.items()
        for before, afters in rows.items()
        for after in afters
    }
    unmade = (
        allowed
        - made
        - {("start", TaskState.RUNNING, TaskState.RUNNING), ("heartbeat", TaskState.RUNNING, TaskState.RUNNING)}
    )
    assert not unmade, "in the table, but no walk made them"
