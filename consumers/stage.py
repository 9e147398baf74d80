"""How a stage of a flow is declared: what it accepts, what it may emit, and its policy beside the handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from schemas.names import STAGES, StageName
from streams.policy import StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.outcome import Outcome

Handler = Callable[[Any, "StageContext"], Awaitable["Outcome"]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A declared stage of a flow.

    Attributes:
        accepts: Model of its payload; its field `v` is the schema version.
        emits: Stages it may emit to.
        version: Raised when its output changes for the same input; part of the memo key.
    """

    name: StageName
    accepts: type[BaseModel]
    handler: Handler
    emits: frozenset[StageName]
    policy: StagePolicy = field(default_factory=StagePolicy)
    version: int = 1


def stage(
    *,
    name: StageName,
    accepts: type[BaseModel],
    emits: tuple[StageName, ...] = (),
    policy: StagePolicy | None = None,
    version: int = 1,
) -> Callable[[Handler], Stage]:
    """Declare a handler as a stage.

    Raises:
        ValueError: It would emit backwards, or to compile or notify, which the log itself emits.
    """
    for target in emits:
        if STAGES.index(target) < STAGES.index(name) or target in {"compile", "notify"}:
            msg = (
                f"stage {name!r} cannot emit to {target!r}: a stage emits to itself or a later one up to extract; "
                "compile and notify are emitted by the log (use ctx.collect for what compile needs)"
            )
            raise ValueError(msg)

    def declare(handler: Handler) -> Stage:
        return Stage(name, accepts, handler, frozenset(emits), policy or StagePolicy(), version)

    return declare
