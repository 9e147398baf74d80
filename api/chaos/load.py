"""Submits jobs steadily, by every way in, as clients do that try again until they are answered."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson
from redis.exceptions import RedisError

from api.chaos.flow import FLOWS, NAME, ChaosSpec, Shape, Step, expected_of, flow
from api.chaos.history import Expected
from api.chaos.place import Place
from consumers.submit import new_job
from consumers.worker.adopt import adopted_id
from schemas.events import SUBMIT, CloudEvent
from schemas.jobs import JobRequest
from streams.connect import AWAY, connect
from streams.errors import Refused
from streams.keys import job_id_for
from streams.log import Log
from streams.record import JobRecord
from streams.scripts import Code
from streams.telemetry import setup
from streams.telemetry.traceparent import trace_of_job

BATCH: Final = 20
AGAIN_S: Final = 0.1
TWICE: Final = 0.1
"""Share of the submissions that are sent a second time though they were answered."""
REDRIVE_AFTER_S: Final = 5.0
MOST_AT_ONCE: Final = 64
"""Submissions under way; more wait for an answer to one of them."""

SHAPES: Final[tuple[tuple[Shape, float], ...]] = (("small", 0.83), ("chain", 0.11), ("mixed", 0.03), ("slow", 0.03))
WAYS: Final = (("batch", 0.55 / BATCH), ("event", 0.25), ("api", 0.15), ("entry", 0.05))
"""Shares of the jobs, not of the sends."""
SLOW_S: Final = (2.0, 6.0)


@dataclass(slots=True)
class Ledger:
    """What was accepted, as its submitters were told.

    Attributes:
        shapes: Job id -> what kind of job it is.
        adopted: Ids that entries put straight into a stage stream get when they are adopted.
        unanswered: Ids of submissions that nobody answered until the end: they may be there or not.
        redriven: How many jobs' dead letters were put back to work.
        sent, refused: Submissions by way; refusals and broken connections on the way there.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    adopted: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    redriven: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> set[str]:
        """Ids of every job that a submitter was told to be accepted."""
        return self.shapes.keys() | self.adopted

    def expected(self, record: JobRecord) -> Expected | None:
        """What a job has to show; None for one that is not in here."""
        shape = self.shapes.get(record.job_id)
        return None if shape is None else expected_of(shape, revision=record.revision)


class Load:
    """Submits `jobs_per_s` until it is stopped. What it sends is drawn from the seed; when, is up to the answers."""

    def __init__(self, place: Place, seed: int, jobs_per_s: float, *, most: int = 0) -> None:
        self.ledger = Ledger()
        self._place = place
        self._dice = random.Random(f"{seed} load")  # noqa: S311 - dice
        self._per_s = jobs_per_s
        self._most = most
        self._client = connect(place.proxies["load"].url, timeout_s=2.0)
        self._log = Log(self._client, place.keys, FLOWS, record_ttl_s=86_400)
        self._is_over = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._to_redrive: deque[tuple[float, str]] = deque()
        self._http: aiohttp.ClientSession | None = None
        self._n = 0

    async def run(self) -> None:
        """Submit until `stop`, or until so many were sent."""
        began = time.monotonic()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as self._http:
            redriving = asyncio.create_task(self._redrive())
            while not self._is_over.is_set() and not 0 < self._most <= self._n:
                due = int((time.monotonic() - began) * self._per_s)
                while self._n < due and len(self._under_way) < MOST_AT_ONCE and not 0 < self._most <= self._n:
                    self._begin()
                if self._n < due:  # what is behind is not made up for in one go
                    began = time.monotonic() - self._n / self._per_s
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_over.wait(), 0.05)
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=30)
            await redriving

    def stop(self) -> None:
        """Send nothing new; what is on its way is sent until it is answered."""
        self._is_over.set()

    async def close(self) -> None:
        """Give up what nobody answered."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._client.aclose()

    def _begin(self) -> None:
        way = self._drawn(WAYS)
        send: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "batch": self._batch, "event": self._event, "entry": self._entry,
            "api": self._api if self._place.layout.api else self._event,
        }  # fmt: skip
        self.ledger.sent[way] += 1
        task = asyncio.create_task(send[way]())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _drawn(self, shares: tuple[tuple[Any, float], ...]) -> Any:
        return self._dice.choices([one for one, _ in shares], [share for _, share in shares])[0]

    def _next(self) -> tuple[int, ChaosSpec]:
        self._n += 1
        shape: Shape = self._drawn(SHAPES)
        seconds = round(self._dice.uniform(*SLOW_S), 2) if shape == "slow" else 0.0
        has_sink = self._place.layout.postgres and shape in {"chain", "mixed"}
        return self._n, ChaosSpec(shape=shape, sink=has_sink, seconds=seconds, n=self._n)

    async def _until_answered(self, attempt: Callable[[], Awaitable[None]], *job_ids: str) -> None:
        self.ledger.unanswered.update(job_ids)
        is_again = self._dice.random() < TWICE
        while True:
            try:
                await attempt()
            except (*AWAY, RedisError, Refused, aiohttp.ClientError, TimeoutError) as error:
                self.ledger.refused[type(error).__name__] += 1
                await asyncio.sleep(AGAIN_S)
                continue
            if not is_again:
                self.ledger.unanswered.difference_update(job_ids)
                return
            is_again = False

    def _accepted(self, job_id: str, spec: ChaosSpec) -> None:
        self.ledger.shapes[job_id] = spec.shape
        if spec.shape == "mixed" and self._dice.random() < 1 / 2:
            self._to_redrive.append((time.monotonic() + REDRIVE_AFTER_S, job_id))

    async def _batch(self) -> None:
        """Some jobs in one script call a partition."""
        specs = [self._next() for _ in range(BATCH)]
        jobs = []
        for n, spec in specs:
            job_id = job_id_for(f"batch {n}", self._place.keys.partitions)
            request = JobRequest(flow=NAME, spec=spec.model_dump())
            trace = str(trace_of_job(job_id, setup.current.sampler))
            jobs.append(new_job(flow, request, job_id, tenant="default", traceparent=trace))

        async def attempt() -> None:
            codes = await self._log.submit_many(jobs)
            if not set(codes) <= {Code.OK, Code.DUPLICATE}:
                raise Refused(f"a batch was answered {codes}", code=Code.CONFLICT)

        await self._until_answered(attempt, *(job.job_id for job in jobs))
        for job, (_, spec) in zip(jobs, specs, strict=True):
            self._accepted(job.job_id, spec)

    async def _event(self) -> None:
        """A CloudEvent on the ingest stream; its identity is (source, id)."""
        n, spec = self._next()
        event = CloudEvent(type=SUBMIT, source="/chaos", id=str(n))
        data = orjson.dumps({"flow": NAME, "spec": spec.model_dump()})
        fields: Any = {"type": SUBMIT, "source": event.source, "id": event.id, "data": data}
        job_id = job_id_for(event.identity, self._place.keys.partitions)

        async def attempt() -> None:
            await self._client.xadd(self._place.keys.events, fields)

        await self._until_answered(attempt, job_id)
        self._accepted(job_id, spec)

    async def _api(self) -> None:
        """``POST /jobs`` with an Idempotency-Key."""
        n, spec = self._next()
        body = {"flow": NAME, "spec": spec.model_dump()}
        answered: list[str] = []

        async def attempt() -> None:
            if self._http is None:
                raise aiohttp.ClientConnectionError("the session is closed")
            url = f"{self._place.api_url}/api/v1/jobs"
            async with self._http.post(url, json=body, headers={"Idempotency-Key": f"chaos-{n}"}) as response:
                answer = await response.json()
                if response.status != 202:  # noqa: PLR2004 - HTTP Accepted
                    raise aiohttp.ClientPayloadError(f"{response.status}: {answer}")
                answered.append(answer["job_id"])

        await self._until_answered(attempt)
        for job_id in set(answered):  # more than one would be a submission taken twice; the second has no other cause
            self._accepted(job_id, spec)

    async def _entry(self) -> None:
        """An entry put straight into a stage stream, once: it has no identity before it is there."""
        self._n += 1
        partition = self._place.keys.partition(self._dice.randrange(self._place.keys.partitions))
        stream = partition.stream("download")
        data = orjson.dumps(Step().model_dump())
        # Not again when nobody answers: nobody was told that it was accepted, so nothing is to be expected.
        try:
            entry_id = await self._client.xadd(stream, {"flow": NAME, "data": data})
        except (*AWAY, RedisError) as error:
            self.ledger.refused[type(error).__name__] += 1
            return
        self.ledger.adopted.add(adopted_id(partition.partition, stream, entry_id.decode()))

    async def _redrive(self) -> None:
        """Put the dead letters of half the `mixed` jobs back to work, once they have ended."""
        while not self._is_over.is_set():
            if not self._to_redrive or self._to_redrive[0][0] > time.monotonic():
                await asyncio.sleep(AGAIN_S)
                continue
            _, job_id = self._to_redrive.popleft()
            try:
                await self._retry(job_id)
            except (*AWAY, RedisError, Refused):
                self._to_redrive.append((time.monotonic() + REDRIVE_AFTER_S, job_id))

    async def _retry(self, job_id: str) -> None:
        record = await self._place.log.job(job_id)
        if record is None or record.status != "partial" or record.number("tail"):
            raise Refused(f"{job_id} has not ended yet", code=Code.CONFLICT)
        await self._place.log.retry(job_id)
        self.ledger.redriven += 1
