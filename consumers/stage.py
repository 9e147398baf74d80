"""How a stage of a flow is declared: what it accepts, what it may emit, and its policy beside the handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from schemas.names import STAGES, StageName
from streams.policy import StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.memo import Memo
    from consumers.outcome import Outcome

FETCHING: Final = frozenset({"crawl", "classify", "download"})
"""Stages that ask sites, where a flow does not say otherwise."""

Handler = Callable[[Any, "StageContext"], Awaitable["Outcome"]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A declared stage of a flow.

    Attributes:
        accepts: Model of its payload; its field `v` is the schema version.
        emits: Stages it may emit to.
        version: Raised when its output changes for the same input; part of the memo key.
        fetches: Whether it asks sites; a replay uses what it emitted then instead, unless told to fetch again.
        memo: What its CPU work depends on, when its results are to be remembered; see `consumers.memo`.
    """

    name: StageName
    accepts: type[BaseModel]
    handler: Handler
    emits: frozenset[StageName]
    policy: StagePolicy = field(default_factory=StagePolicy)
    version: int = 1
    fetches: bool = False
    memo: Memo | None = None


def stage(
    *,
    name: StageName,
    accepts: type[BaseModel],
    emits: tuple[StageName, ...] = (),
    policy: StagePolicy | None = None,
    version: int = 1,
    fetches: bool | None = None,
    memo: Memo | None = None,
) -> Callable[[Handler], Stage]:
    """Declare a handler as a stage.

    Args:
        name: Which of the six.
        accepts: Model of its payload.
        emits: Stages it may emit to.
        policy: How it is run.
        version: See `Stage`.
        fetches: Whether it asks sites. When not said, crawl, classify and download are taken to.
        memo: See `Stage`.

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
        asks = name in FETCHING if fetches is None else fetches
        return Stage(name, accepts, handler, frozenset(emits), policy or StagePolicy(), version, asks, memo)

    return declare
