"""One attempt of one task: payload in, outcome out; the same for workers and for the inline runner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic import BaseModel

from consumers.context import StageContext
from consumers.outcome import Cancel, Done, Outcome, Reject, Snooze
from consumers.stage import Stage
from schemas.upcast import UnreadablePayload, read_payload
from streams.errors import MalformedEntry, PermanentError

Next = Callable[[], Awaitable[Outcome]]
Middleware = Callable[[BaseModel, StageContext, Next], Awaitable[Outcome]]
"""Wraps every handler: code before ``await next()`` runs before it, code behind runs after it."""


def payload_of(stage: Stage, data: bytes) -> BaseModel:
    """The payload of an entry, of whatever schema version.

    Raises:
        MalformedEntry: No version of the stage's model reads it.
    """
    try:
        return read_payload(stage.accepts, data)
    except UnreadablePayload as error:
        raise MalformedEntry(str(error), reason=error.reason) from None


async def attempt(
    stage: Stage, payload: BaseModel, context: StageContext, middleware: Sequence[Middleware] = ()
) -> Outcome:
    """Run a stage's handler once, inside the middleware.

    Raises:
        Exception: Whatever the handler raised.
        PermanentError: It returned no outcome.
    """
    if not middleware:
        outcome: Any = await stage.handler(payload, context)
    else:
        outcome = await _wrapped(stage, payload, context, middleware)
    if not isinstance(outcome, Done | Snooze | Reject | Cancel):
        msg = f"the {stage.name} handler returned {type(outcome).__name__}; return Done, Snooze, Reject or Cancel"
        raise PermanentError(msg, reason="no_outcome")
    return outcome


async def _wrapped(
    stage: Stage, payload: BaseModel, context: StageContext, middleware: Sequence[Middleware]
) -> Outcome:
    async def innermost() -> Outcome:
        return await stage.handler(payload, context)

    step: Next = innermost
    for layer in reversed(middleware):
        step = _layered(layer, payload, context, step)
    return await step()


def _layered(layer: Middleware, payload: BaseModel, context: StageContext, inner: Next) -> Next:
    async def step() -> Outcome:
        return await layer(payload, context, inner)

    return step
