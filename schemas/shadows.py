"""What a shadow replay shows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from schemas.names import StageName


class ChangeView(BaseModel):
    """A field that would be different; see `consumers.shadow.Difference`."""

    model_config = ConfigDict(frozen=True)

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


class ShadowView(BaseModel):
    """A job as it would end with today's code, beside how it ended.

    Attributes:
        status: As it would end; ``impossible`` when it cannot be run without its database or a site, or its records
            do not suffice.
        was: As it ended.
        is_same: It would end alike, with the same result.
        entries: Tasks that ran.
        changes: Field by field; at most a thousand, `more` says whether there may be others.
        compared: Whether there were two results to compare.
        effects: What a real run would have done outside; none of it was done.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    flow: str
    from_stage: StageName
    status: Literal["succeeded", "partial", "failed", "cancelled", "impossible"]
    was: str
    is_same: bool
    compared: bool
    entries: int
    error: str = ""
    changes: tuple[ChangeView, ...] = ()
    more: bool = False
    effects: tuple[str, ...] = ()
