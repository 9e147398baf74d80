"""Maintenance jobs: what is asked for, and what they report."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from schemas.jobs import Asked
from schemas.stages import Payload

ChoreName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class MaintenanceSpec(Asked):
    """What a maintenance job is to do.

    Attributes:
        chore: One of those that are installed: `clean_up`, `stale`, `health`, `memory`, `digest`, `sweep`, `erase`.
        dry_run: Report what would be done, and do nothing.
        older_than_days: For `clean_up`, in place of the setting.
    """

    chore: ChoreName
    dry_run: bool = False
    older_than_days: Annotated[int, Field(ge=1, le=36_500)] | None = None


class Order(Payload):
    """Into crawl: the chore to do."""

    chore: str
    dry_run: bool = False
    older_than_days: int | None = None


class Report(Payload):
    """What a chore did, or would do.

    Attributes:
        counts: Of what it removed, repaired or looked at.
        said: Sentences for people.
        facts: Figures for programs.
    """

    chore: str
    dry_run: bool = False
    counts: dict[str, int] = Field(default_factory=dict)
    said: tuple[str, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict)


class MaintenanceResult(BaseModel):
    """The result of a maintenance job."""

    status: Literal["done", "would_do"]
    chore: str
    counts: dict[str, int]
    said: tuple[str, ...]
    facts: dict[str, Any]
