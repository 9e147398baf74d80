"""How a handler ends: expected endings are values, exceptions are for surprises."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from schemas.names import StageName


@dataclass(frozen=True, slots=True)
class Emit:
    """One entry for this stage or a later one, up to extract.

    Attributes:
        once: The job emits under this key at most once: a URL, say.
        budget: Name of the job's budget it counts against: ``pages``, say.
    """

    stage: StageName
    payload: BaseModel
    once: str = ""
    budget: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The entry is finished.

    Attributes:
        emits: What follows from it.
        missing: What could not be had, in words for the user; makes the job ``partial``.
        result: The job's result; compile only.
    """

    emits: tuple[Emit, ...] = ()
    missing: tuple[str, ...] = ()
    result: BaseModel | None = None


@dataclass(frozen=True, slots=True)
class Snooze:
    """Wait without spending an attempt: the other side asked for it, or a limit did."""

    delay_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Dead-letter now: no attempt can succeed.

    Attributes:
        reason: A short snake_case code.
        detail: What happened, to what, what to do.
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the whole job."""

    reason: str


Outcome = Done | Snooze | Reject | Cancel
