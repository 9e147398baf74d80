"""A schedule as its users see it: what they send, and what they are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, Field, model_validator

from schemas.jobs import Asked, Instant, JobRequest
from schemas.settings import known_zone

MissedRuns = Literal["skip", "run_once", "run_all"]
CRON_FIELDS = 5


def _valid_cron(value: str) -> str:
    if len(value.split()) != CRON_FIELDS:
        raise ValueError("a cron expression has five fields: minute hour day-of-month month day-of-week")
    try:
        next(CronSim(value, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        said = str(error) or "it never comes"
        raise ValueError(f"{value!r} is no cron expression that ever comes: {said}") from None
    return value


TimeZone = Annotated[str, Field(max_length=60), AfterValidator(known_zone)]
Cron = Annotated[str, Field(max_length=200), AfterValidator(_valid_cron)]
ScheduleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class Timing(Asked):
    """When.

    Attributes:
        cron: Five fields, in `time_zone`; as in Debian's cron, what falls into an hour that a change of clocks leaves
            out comes right after it, and what falls into one that comes twice comes once.
        every_s: Seconds between two ticks, counted from the schedule's making; in place of `cron`.
        missed: What becomes of ticks that passed while nothing ran: none (`skip`), the last one (`run_once`), or each
            of the last `missed_most` (`run_all`).
    """

    cron: Cron | None = None
    every_s: Annotated[int, Field(ge=1, le=366 * 86_400)] | None = None
    time_zone: TimeZone = "UTC"
    missed: MissedRuns = "run_once"
    missed_most: Annotated[int, Field(ge=1, le=1_000)] = 10

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.cron is None) == (self.every_s is None):
            raise ValueError("give either cron or every_s")
        return self


class ScheduleChange(Timing):
    """The body of ``PUT /schedules/{name}``.

    Attributes:
        job: As the body of ``POST /jobs``; its `run_at`, `expires_at` and `job_id` are the schedule's to say.
        about: A line for people.
    """

    job: JobRequest
    about: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _has_no_time_of_its_own(self) -> Self:
        for name in ("job_id", "run_at", "expires_at"):
            if getattr(self.job, name) is not None:
                raise ValueError(f"job.{name} cannot be given: each tick is a job of its own, at the schedule's time")
        return self


class ScheduleRequest(ScheduleChange):
    """The body of ``POST /schedules``."""

    name: ScheduleName


class ScheduleView(BaseModel):
    """A schedule.

    Attributes:
        next_at: None while it is paused, and when it never comes again.
        last_missed: Ticks that were left out at the last look, by `missed`.
    """

    name: str
    about: str
    cron: str | None
    every_s: int | None
    time_zone: str
    missed: MissedRuns
    missed_most: int
    job: JobRequest
    is_paused: bool
    pause_reason: str
    is_built_in: bool
    next_at: Instant
    last_tick_at: Instant
    last_job_id: str | None
    last_missed: int
    last_error: str | None
    links: dict[str, str]
