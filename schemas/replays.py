"""A replay as its users see it: which jobs, from which stage, how fast, and how far it is."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, model_validator

from schemas.jobs import Asked, Instant
from schemas.memo import MemoView
from schemas.names import StageName, lane_of

EndedName = Literal["succeeded", "partial", "failed", "cancelled", "expired"]
ReplayStatus = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]

JOB_ID = r"^(0|[1-9][0-9]{0,2})-[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$"
MOST_NAMED = 1_000
MOST_PER_S = 100_000.0


def _known_priority(value: str | int) -> str | int:
    lane_of(value)
    return value


class ReplaySelection(Asked):
    """Which jobs. What is given must all hold; only jobs that have ended are taken, and none that are replays.

    Attributes:
        jobs: These, by id.
        flow: Of this flow.
        stage: That had work at this stage; with `dlq`, that have a dead letter there.
        status: That ended so.
        since, until: Submitted between these instants. `until` is the replay's own beginning when not given.
        dlq: That have dead letters now.
    """

    jobs: Annotated[tuple[Annotated[str, Field(pattern=JOB_ID)], ...], Field(max_length=MOST_NAMED)] = ()
    flow: Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    stage: StageName | None = None
    status: Annotated[tuple[EndedName, ...], Field(max_length=5)] = ()
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    dlq: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.jobs or self.flow or self.stage or self.status or self.since or self.until or self.dlq):
            raise ValueError("nothing is selected: give jobs, flow, stage, status, since, until or dlq")
        if self.since and self.until and self.until <= self.since:
            raise ValueError("until is not after since")
        return self


class ReplayRate(Asked):
    """How fast: one of both, per second. An entry is a task that ran then, and is to run again."""

    entries_per_s: Annotated[float, Field(gt=0, le=MOST_PER_S)] | None = None
    jobs_per_s: Annotated[float, Field(gt=0, le=MOST_PER_S)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.entries_per_s is None) == (self.jobs_per_s is None):
            raise ValueError("give either entries_per_s or jobs_per_s")
        return self


class ReplayRequest(Asked):
    """The body of ``POST /replays``.

    Attributes:
        from_stage: The first stage that runs again. Without `fetch` a stage that fetches does not run: what it
            emitted is used, and the job begins behind it.
        fetch: Fetch again: `from_stage` runs whatever it does; when no stage from there on fetches, it begins with the
            last one before it that does.
        priority: Of the new jobs.
    """

    select: ReplaySelection
    from_stage: StageName = "crawl"
    fetch: bool = False
    rate: ReplayRate = ReplayRate(entries_per_s=500)
    priority: Annotated[str | int, AfterValidator(_known_priority)] = "low"


class ReplayProblem(BaseModel):
    """A job that is not replayed, and why."""

    job_id: str
    reason: str
    detail: str


class ReplayPlan(BaseModel):
    """What a replay would do.

    Attributes:
        jobs: New jobs that it would submit.
        entries: Stage -> entries that would run, as many as ran then.
        size_bytes: Payload of the entries that it would open.
        reused: Upstream entries that are not run again.
        starts_at: Flow -> stage -> jobs that begin there.
        missing: Reason -> jobs that cannot be replayed.
        problems: The first hundred of them.
        missing_files: Files that payloads name and the artifact store has no more; their entries would fail.
        takes_s: At the rate.
        is_whole: False when there were more jobs than a dry run looks at.
    """

    dry_run: bool = True
    jobs: int = 0
    entries: dict[str, int] = Field(default_factory=dict)
    size_bytes: int = 0
    reused: int = 0
    starts_at: dict[str, dict[str, int]] = Field(default_factory=dict)
    missing: dict[str, int] = Field(default_factory=dict)
    problems: list[ReplayProblem] = Field(default_factory=list)
    missing_files: int = 0
    takes_s: float = 0.0
    is_whole: bool = True


class ReplayView(BaseModel):
    """A replay.

    Attributes:
        selected: Jobs that the selection had when it began; None before.
        jobs: New jobs submitted so far.
        entries: Entries that these run, as many as ran then.
        missing: Reason -> jobs that could not be replayed.
        percent: Of the selection.
        memo: What of its jobs' work was had from memo so far; None in lists, and without a database.
    """

    replay_id: str
    status: ReplayStatus
    select: ReplaySelection
    from_stage: StageName
    fetch: bool
    rate: ReplayRate
    priority: str | int
    created_by: str
    created_at: Instant
    started_at: Instant
    finished_at: Instant
    selected: int | None
    jobs: int
    entries: int
    missing: dict[str, int]
    problems: list[ReplayProblem]
    percent: float
    error: str | None
    memo: MemoView | None = None
    links: dict[str, str]


def is_over(status: str) -> bool:
    """Whether nothing of a replay will happen any more."""
    return status in {"done", "failed", "cancelled"}
