"""What every stage payload is, and the two that the log itself writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """Base of what one stage hands to the next: frozen, unknown fields refused, `v` its schema version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class Written:
    """A payload that is JSON already, from a CPU subprocess say; whoever reads it validates it.

    Attributes:
        data: One JSON value, UTF-8.
    """

    data: bytes


class CompileRequest(Payload):
    """What compile receives: written by the join when a revision's work is done."""

    revision: int = 1


class Ending(Payload):
    """What notify receives: written when a revision ends."""

    revision: int
    status: Literal["succeeded", "partial", "failed", "cancelled", "expired"]
