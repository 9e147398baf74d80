"""What a handler is given beside its payload."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel

from schemas.settings import Settings
from schemas.stages import Written

if TYPE_CHECKING:
    from consumers.cpu.pool import CpuPool
    from consumers.llm import Endpoint
    from consumers.net.browser import Browser
    from consumers.net.fetch import Fetcher
    from consumers.net.politeness import Politeness
    from consumers.net.robots_cache import RobotsCache
    from consumers.store import Store
    from streams.blobs import Blobs
    from streams.log import Log
    from streams.policy import RateLimit
    from streams.record import JobRecord

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Failure:
    """A dead letter of the job, for compile to tell of.

    Attributes:
        data: The payload of the task that failed, JSON.
    """

    task: int
    stage: str
    reason: str
    error: str
    data: bytes


class Resources(Protocol):
    """What handlers share within a process; each is opened on first use."""

    @property
    def settings(self) -> Settings: ...  # noqa: D102
    @property
    def fetch(self) -> Fetcher: ...  # noqa: D102
    @property
    def robots(self) -> RobotsCache: ...  # noqa: D102
    @property
    def politeness(self) -> Politeness: ...  # noqa: D102
    @property
    def blobs(self) -> Blobs: ...  # noqa: D102
    @property
    def has_store(self) -> bool: ...  # noqa: D102
    @property
    def store(self) -> Store: ...  # noqa: D102
    @property
    def llm(self) -> Endpoint | None: ...  # noqa: D102

    def cpu(self, pool: str) -> CpuPool:
        """The subprocesses of a pool."""
        ...

    async def browser(self) -> Browser:
        """The process's browser; Chromium starts with the first page."""
        ...


class StageContext(Protocol):
    """A handler's window on its job. It never acks, waits, touches a stream or builds a key.

    Attributes:
        task: Number within the job, stable over retries and redrives.
        idempotency_key: ``<job>/<task>``: hand it to what must not act twice.
        deadline: Soft time limit, seconds on the event loop's clock.
        checkpointed: What the last `checkpoint` of this task kept, None at first.
        log: Goes to the job's own log too.
        llm: The operator's language model, None when none is named; ask it by `consumers.llm.MeteredLlm.of`.
    """

    @property
    def job_id(self) -> str: ...  # noqa: D102
    @property
    def task(self) -> int: ...  # noqa: D102
    @property
    def flow(self) -> str: ...  # noqa: D102
    @property
    def stage(self) -> str: ...  # noqa: D102
    @property
    def attempt(self) -> int: ...  # noqa: D102
    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure now is final: the stage's policy has no further attempt."""
        ...

    @property
    def tenant(self) -> str: ...  # noqa: D102
    @property
    def revision(self) -> int: ...  # noqa: D102
    @property
    def traceparent(self) -> str: ...  # noqa: D102
    @property
    def idempotency_key(self) -> str: ...  # noqa: D102
    @property
    def deadline(self) -> float: ...  # noqa: D102
    @property
    def checkpointed(self) -> Any: ...  # noqa: D102
    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]: ...  # noqa: D102
    @property
    def settings(self) -> Settings: ...  # noqa: D102
    @property
    def fetch(self) -> Fetcher: ...  # noqa: D102
    @property
    def robots(self) -> RobotsCache: ...  # noqa: D102
    @property
    def politeness(self) -> Politeness: ...  # noqa: D102
    @property
    def blobs(self) -> Blobs: ...  # noqa: D102
    @property
    def store(self) -> Store: ...  # noqa: D102
    @property
    def llm(self) -> Endpoint | None: ...  # noqa: D102

    @property
    def jobs(self) -> Log:
        """The log, for maintenance, which looks after other jobs; `PermanentError` where there is none."""
        ...

    async def spec(self, model: type[Model]) -> Model:
        """What the user asked for."""
        ...

    async def browser(self) -> Browser:
        """The process's browser, behind the same guard as `fetch`.

        Its visits raise `PermanentError` (``browser_missing``) where no Chromium is installed.
        """
        ...

    async def run_cpu(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run a function in a killable subprocess, within the stage's memory cap and time limit."""
        ...

    def progress(self, step: str, percent: float | None = None) -> None:
        """Say what is being done; the percentage is never set back."""
        ...

    async def checkpoint(self, value: Any) -> None:
        """Keep a small JSON value for the next delivery of this task, should this one not finish."""
        ...

    async def emit(self, *emits: Any) -> None:
        """Open entries now, before the handler is done; each once, however often the task is delivered."""
        ...

    async def collect(self, payload: BaseModel | Written) -> None:
        """Keep something for compile; the same task's contributions replace those of its earlier deliveries."""
        ...

    async def reserve(self, limit: RateLimit, what: str) -> float:
        """Seconds until `what` may begin under a rate that all workers share; 0: now.

        For a stage that does several limited things under one entry; one thing an entry is `StagePolicy.limits`. Who
        must wait snoozes that long with `streams.policy.waiting_for` as the reason and asks again: the slot is kept.
        """
        ...

    async def failures(self) -> list[Failure]:
        """The job's dead letters, oldest first."""
        ...

    def collected(self, model: type[Model], *, kinds: Collection[str] = ()) -> AsyncIterator[Model]:
        """What the job's tasks collected, by task.

        Args:
            model: What each is read as.
            kinds: Only those whose field ``kind`` is one of these; everything when there are none.
        """
        ...

    async def job(self, job_id: str = "") -> JobRecord | None:
        """The live record of the job, or of another one; None where none is kept."""
        ...

    async def publish_outcome(self, event: Mapping[str, str]) -> None:
        """Put an event on the outcomes stream, for consumers outside; nothing happens where there is none."""
        ...
