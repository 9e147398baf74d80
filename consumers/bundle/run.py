"""Running a task of a bundle in this process, with today's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.bundle.bundle import BadBundle, Bundle
from consumers.context import Failure
from consumers.execute import Middleware, attempt, payload_of
from consumers.flow import Flow
from consumers.inline.context import InlineContext
from consumers.inline.one import one_task
from consumers.outcome import Outcome
from schemas.names import StageName
from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a task.

    Attributes:
        outcome: What the handler returned; None when it raised.
        error: What it raised, with its traceback.
        emitted: Stage and payload (JSON) of what it emitted while it ran.
        collected: What it kept for compile, beyond what the bundle brought.
    """

    outcome: Outcome | None
    error: Exception | None
    emitted: tuple[tuple[StageName, Any], ...] = ()
    collected: tuple[Any, ...] = ()


async def try_task(
    bundle: Bundle,
    number: int,
    flow: Flow,
    *,
    settings: Settings | None = None,
    middleware: Sequence[Middleware] = (),
) -> Tried:
    """Run one task. Its files and what was collected before are as in the bundle; sites are asked anew.

    Args:
        bundle: The job.
        number: Of the task.
        flow: Today's.
        settings: Read from the environment when None.
        middleware: Around the handler.

    Raises:
        BadBundle: It has no such task, or the flow has no such stage.
    """
    task = bundle.task(number)
    stage = flow.by_name.get(task.stage)
    if stage is None:
        raise BadBundle(f"flow {flow.name} has no stage {task.stage} any more: task {number} cannot be run")
    kinds = {one.sha256: one.content_type for one in bundle.files}
    async with one_task(
        InlineContext, flow, task.stage, number=number, data=orjson.dumps(task.data), job_id=bundle.facts.job_id,
        spec=orjson.dumps(bundle.facts.spec), settings=settings, collected=bundle.collected,
        failures=[
            Failure(one.number, one.stage, one.reason, one.error, orjson.dumps(one.data))
            for one in bundle.dead
            if one.number != number
        ],
        files=[(body, kinds.get(sha256, "application/octet-stream")) for sha256, body in bundle.bytes_of.items()],
    ) as context:  # fmt: skip
        outcome: Outcome | None = None
        failed: Exception | None = None
        try:
            outcome = await attempt(stage, payload_of(stage, orjson.dumps(task.data)), context, middleware)
        except Exception as error:  # noqa: BLE001 - it is what was asked for
            failed = error
        return Tried(
            outcome, failed, tuple(context.emitted), tuple(await context.contributions())[len(bundle.collected) :]
        )
