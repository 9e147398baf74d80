"""What scenarios are made of: walks with a purpose, registered by name, and their usual steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from streams.codec import Delivery
from streams.moves import Completion, Death, Emission, Held
from tests.integration.model.entities import Job
from tests.integration.model.world import World, new_job

SCENARIOS: Final[list[Callable[[World], None]]] = []
A, B = "w1", "w2"


def scenario(run: Callable[[World], None]) -> Callable[[World], None]:
    """Register a scenario under its name."""
    SCENARIOS.append(run)
    return run


def take(world: World, worker: str = A, count: int = 10) -> list[Delivery]:
    """Read and start what is there."""
    entries = world.read(worker, count)
    world.start(worker, *entries)
    return entries


def begun(world: World, name: str = "j", **options: Any) -> tuple[Job, Delivery]:
    """A job whose first task runs in A's hands."""
    job = new_job(name, **options)
    world.submit(job)
    return world.model.jobs[job.job_id], take(world)[0]


def out(stage: Any, count: int = 1, **more: Any) -> tuple[Emission, ...]:
    """Emissions."""
    return tuple(Emission(stage, f'{{"v":1,"n":{n}}}'.encode(), **more) for n in range(count))


def done(world: World, *entries: Delivery, worker: str = A) -> None:
    """Complete without emissions."""
    world.complete(worker, *[Completion(entry, is_touched=True) for entry in entries])


def bury(world: World, *entries: Delivery) -> None:
    """Dead-letter."""
    world.dead_letter(A, *[Death(entry, "http_403", "e", "t") for entry in entries])


def letters_of(job: Job, stage: str) -> list[tuple[str, str]]:
    """A job's dead letters at a stage, to redrive."""
    return [(task.letter.entry_id, "") for task in job.tasks.values() if task.letter and task.stage == stage]


def seen(entry: Delivery, worker: str, **more: Any) -> Held:
    """A held entry as a sweep sees it."""
    given = {"delivery": entry.delivery, "job": entry.job, "task": entry.task, **more}
    return Held(str(entry.name), entry.entry_id, worker, idle_ms=0, stage=entry.name.stage, **given)


def compiled(world: World, dead: int = 1) -> tuple[Job, Delivery]:
    """A job with dead downloads whose first compile runs."""
    job, first = begun(world)
    world.complete(A, Completion(first, out("download", dead + 1)))
    downloads = take(world)
    bury(world, *downloads[:dead])
    done(world, *downloads[dead:])
    (compile_,) = take(world)
    return job, compile_
