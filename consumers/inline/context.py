"""The context that the inline runner gives to a handler."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import BaseModel

from consumers.context import Failure
from consumers.cpu.wire import pack_task, returned
from consumers.encode import encode
from consumers.inline.job import REVISION, InlineJob, Task
from consumers.inline.progress import Progress
from consumers.outcome import Emit
from consumers.resources import SharedResources
from consumers.stage import Stage
from consumers.store import MemoryStore, Store
from schemas.names import STAGES, StageName
from schemas.settings import Settings
from streams.blobs import Artifact, Blobs
from streams.errors import PermanentError
from streams.log import Log
from streams.objects import open_objects
from streams.policy import RateLimit
from streams.record import JobRecord

if TYPE_CHECKING:
    from consumers.llm import Endpoint
    from consumers.net.browser import Browser
    from consumers.net.fetch import Fetcher
    from consumers.net.politeness import Politeness
    from consumers.net.robots_cache import RobotsCache

Model = TypeVar("Model", bound=BaseModel)
logger = logging.getLogger("millrace.job")
MAX_CHECKPOINT_BYTES = 65_536
_OF_LOGGING = frozenset({"exc_info", "stack_info", "stacklevel", "extra"})


class KeptBlobs(Blobs):
    """An artifact store that remembers what was put into it."""

    def __init__(self, url_or_path: str) -> None:
        super().__init__(open_objects(url_or_path))
        self.put_here: list[Artifact] = []

    async def put(
        self, data: bytes | AsyncIterator[bytes], *, tenant: str, content_type: str, max_bytes: int | None = None
    ) -> Artifact:
        """Keep bytes under their digest."""
        artifact = await super().put(data, tenant=tenant, content_type=content_type, max_bytes=max_bytes)
        if artifact not in self.put_here:
            self.put_here.append(artifact)
        return artifact


class InlineResources(SharedResources):
    """What handlers share: the real fetcher and robots rules; artifacts and store as given."""

    blobs: KeptBlobs
    store: Store

    def __init__(self, settings: Settings, blobs: KeptBlobs, store: Store) -> None:
        super().__init__(settings, None)
        # In place of what the base class would open. They are the caller's, also after the run.
        self.__dict__.update(blobs=blobs, store=store)

    async def __aexit__(self, *error: object) -> None:
        del self.__dict__["blobs"], self.__dict__["store"]
        await super().__aexit__(*error)


@dataclass(slots=True)
class InlineBench:
    """What the contexts of one run share.

    Attributes:
        kept: Contributions and results; also the handlers' store, unless they were given PostgreSQL.
    """

    flow: str
    job: InlineJob
    job_id: str
    spec: bytes
    resources: InlineResources
    kept: MemoryStore
    traceparent: str
    tenant: str = "default"
    notify: bytes = b""
    in_subprocesses: bool = False
    on_progress: Callable[[Progress], None] | None = None
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    percent: float = 0.0
    sleep: Callable[[float], Awaitable[None]] | None = None
    slots: dict[str, float] = field(default_factory=dict)
    created_ms: int = field(default_factory=lambda: int(time.time() * 1_000))

    async def wait_for(self, limit: RateLimit, key: str) -> None:
        """Hold a rate within this run, if it waits at all; without servers nothing is shared with other processes."""
        if self.sleep is None:
            return
        now_s = asyncio.get_running_loop().time()
        slot_s = max(now_s, self.slots.get(key, now_s))
        self.slots[key] = slot_s + limit.per_s / limit.count
        if slot_s > now_s:
            await self.sleep(slot_s - now_s)

    def record(self) -> JobRecord:
        """The job's record as the log would have it now."""
        job = self.job
        fields = {
            "status": job.status.value,
            "flow": self.flow,
            "tenant": self.tenant,
            "revision": str(REVISION),
            "traceparent": self.traceparent,
            "spec": self.spec.decode(),
            "created_at": str(self.created_ms),
            "started_at": str(self.created_ms),
            "progress.percent": f"{self.percent:g}",
            "missing": str(job.missing),
            "dead": str(job.failed.total()),
            "error": job.error,
            "notify": self.notify.decode(),
        }
        for stage in STAGES:
            fields |= {f"{stage}.done": str(job.done[stage]), f"{stage}.failed": str(job.failed[stage])}
        if job.is_over:
            fields["finished_at"] = str(int(time.time() * 1_000))
        return JobRecord(self.job_id, {name: value for name, value in fields.items() if value}, {})


class InlineLogger(logging.LoggerAdapter[logging.Logger]):
    """Takes keyword arguments as fields of the line, as the workers' logger does."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Move the fields to where logging looks for them."""
        fields = {name: kwargs.pop(name) for name in list(kwargs) if name not in _OF_LOGGING}
        kwargs["extra"] = {**(self.extra or {}), **fields, **kwargs.get("extra", {})}
        return msg, kwargs


class InlineContext:
    """`consumers.context.StageContext` without a log: everything is kept by the run."""

    attempt = 1
    is_last_attempt = True
    revision = REVISION

    def __init__(self, bench: InlineBench, stage: Stage, task: Task) -> None:
        self._bench = bench
        self._stage = stage
        self._task = task
        self._emitted = 0
        self.collected_count = 0
        self.job_id = bench.job_id
        self.task = task.number
        self.flow = bench.flow
        self.stage: str = stage.name
        self.tenant = bench.tenant
        self.traceparent = bench.traceparent
        self.idempotency_key = f"{bench.job_id}/{task.number}"
        self.deadline = asyncio.get_running_loop().time() + stage.policy.soft_timeout_s
        self.log = InlineLogger(
            logger, {"job_id": bench.job_id, "task": task.number, "stage": stage.name, "flow": bench.flow}
        )

    @property
    def settings(self) -> Settings:
        """The operator's settings."""
        return self._bench.resources.settings

    @property
    def fetch(self) -> Fetcher:
        """The way out to the web."""
        return self._bench.resources.fetch

    @property
    def robots(self) -> RobotsCache:
        """What sites allow."""
        return self._bench.resources.robots

    @property
    def politeness(self) -> Politeness:
        """Gaps between requests to one host."""
        return self._bench.resources.politeness

    @property
    def blobs(self) -> Blobs:
        """The artifact store."""
        return self._bench.resources.blobs

    @property
    def store(self) -> Store:
        """Repositories: in memory, unless the run was given a database."""
        return self._bench.resources.store

    @property
    def jobs(self) -> Log:
        """Refused: an inline run has no log.

        Raises:
            PermanentError: Always.
        """
        raise PermanentError("an inline run has no log to look after; use `millrace submit`", reason="no_log")

    @property
    def llm(self) -> Endpoint | None:
        """The operator's language model."""
        return self._bench.resources.llm

    @property
    def checkpointed(self) -> Any:
        """What the last `checkpoint` of this task kept."""
        kept = self._bench.checkpoints.get(self.task)
        return None if kept is None else orjson.loads(kept)

    async def spec(self, model: type[Model]) -> Model:
        """What the user asked for."""
        return model.model_validate_json(self._bench.spec)

    async def browser(self) -> Browser:
        """The run's browser."""
        return await self._bench.resources.browser()

    async def run_cpu(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run a function in a thread, or in a killable subprocess when the run was told so.

        Raises:
            TypeError: A subprocess could not be given this function or these arguments: neither does a thread get
                them, so that a test sees it.
        """
        policy = self._stage.policy
        if not self._bench.in_subprocesses:
            returned(work)
            pack_task(work, args, policy.soft_timeout_s, policy.memory_mb * 2**20)
            return await asyncio.to_thread(work, *args)
        soft_s = max(0.1, self.deadline - asyncio.get_running_loop().time())
        return await self._bench.resources.cpu(policy.pool).run(
            work, *args, timeout_s=soft_s + policy.timeout_s - policy.soft_timeout_s, soft_timeout_s=soft_s,
            memory_mb=policy.memory_mb, progress=self.progress,
        )  # fmt: skip

    def progress(self, step: str, percent: float | None = None) -> None:
        """Say what is being done."""
        bench = self._bench
        if percent is not None:
            bench.percent = max(bench.percent, min(100.0, percent))
        said = Progress(self.task, self.stage, step, bench.percent)
        bench.progress.append(said)
        if bench.on_progress is not None:
            bench.on_progress(said)

    async def checkpoint(self, value: Any) -> None:
        """Keep a small JSON value for this task's next run, after a snooze."""
        kept = orjson.dumps(value)
        if len(kept) > MAX_CHECKPOINT_BYTES:
            msg = f"a checkpoint of {len(kept)} bytes: keep at most {MAX_CHECKPOINT_BYTES}, and larger things as a blob"
            raise ValueError(msg)
        self._bench.checkpoints[self.task] = kept

    async def emit(self, *emits: Emit) -> None:
        """Open entries now."""
        emissions = await encode(emits, self._stage, self.blobs, self.tenant)
        self._bench.job.emit(self._task, self._emitted + 1, emissions)
        self._emitted += len(emissions)

    async def collect(self, payload: BaseModel) -> None:
        """Keep something for compile."""
        await self._bench.kept.contributions.put(
            self.job_id, self.task, self.collected_count, payload.model_dump(mode="json"), tenant=self.tenant,
            revision=self.revision,
        )  # fmt: skip
        self.collected_count += 1

    async def collected(self, model: type[Model]) -> AsyncIterator[Model]:
        """Everything that the job's tasks collected."""
        async for payload in self._bench.kept.contributions.of(self.job_id, tenant=self.tenant):
            yield model.model_validate(payload)

    async def reserve(self, limit: RateLimit, what: str) -> float:  # noqa: ARG002 - as of a worker's
        """Wait for a rate here and now, in a run that waits; other runs and workers know nothing of it."""
        await self._bench.wait_for(limit, limit.name)
        return 0.0

    async def failures(self) -> list[Failure]:
        """The job's dead letters."""
        return list(self._bench.failures)

    async def job(self, job_id: str = "") -> JobRecord | None:
        """The job's record as the log would have it now; of other jobs there is none."""
        return self._bench.record() if job_id in ("", self.job_id) else None

    async def publish_outcome(self, event: Mapping[str, str]) -> None:
        """Nobody outside listens to an inline run."""

    async def finish(self) -> None:
        """Drop what an earlier run of this task collected beyond this one."""
        await self._bench.kept.contributions.trim(
            self.job_id, self.task, self.collected_count, tenant=self.tenant, revision=self.revision
        )

    @property
    def emitted(self) -> list[tuple[StageName, Any]]:
        """Stage and payload (JSON) of what the handler emitted while it ran; what it returned is in its outcome."""
        return [(task.stage, orjson.loads(task.data)) for task in list(self._bench.job.ready)[1:]]

    async def contributions(self) -> list[Any]:
        """What it collected for compile, as JSON."""
        return [one async for one in self._bench.kept.contributions.of(self.job_id, tenant=self.tenant)]
