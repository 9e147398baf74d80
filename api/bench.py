"""What Millrace can do on this machine and this server: throughput beside its floor, latency, memory.

The runtime, codec and scripts are the shipped ones; only the handlers do nothing. The worker runs in a process of its
own (`api.bench_worker`), the floor in another (``bench/floor.py``), in turn and several times, so that whatever else
runs here hits both; the medians count. Keys go under namespaces of their own and are removed.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import orjson
from aiohttp import web

from api.bench_worker import Done, Orders
from consumers import noop
from consumers.flow import Flows
from consumers.submit import new_job, submit
from schemas.jobs import JobRequest
from schemas.names import STAGES
from schemas.settings import Settings
from streams.connect import connect
from streams.keys import Keys, job_id_for
from streams.log import Log

ROOT: Final = Path(__file__).resolve().parents[1]
FLOOR: Final = ROOT / "bench" / "floor.py"
BATCH: Final = 100
_WHOLE: Final = {"transitions_per_s", "transitions", "lifecycle_completed"}
WARM_UP_JOBS: Final = 20
"""Of the latency run; not counted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        jobs: Of six transitions each, a throughput run.
        rounds: Times that floor and pipeline take turns.
        latency_jobs: Submitted one after the other.
        latency_per_s: So many a second.
        memory_jobs: Queued at once.
        partitions: Of the second pipeline, beside the one with one partition.
    """

    jobs: int = 5_000
    rounds: int = 3
    latency_jobs: int = 300
    latency_per_s: float = 20.0
    memory_jobs: int = 10_000
    partitions: int = 16


@dataclass(frozen=True, slots=True)
class Throughput:
    """One pipeline run, or the medians of several.

    Attributes:
        lifecycle_completed: `completed` entries in lifecycle: every transition that was counted.
    """

    transitions_per_s: float
    cpu_us_per_transition: float
    server_cpu_us_per_transition: float
    worker_rss_mb: float
    transitions: int
    lifecycle_completed: int


async def bench(
    redis_url: str, plan: Plan | None = None, told: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure, and return what `millrace bench --json` prints.

    Args:
        redis_url: The server to measure on; better one that nobody else uses.
        plan: How much is measured.
        told: Is told what happens next.

    Raises:
        RuntimeError: A measuring process failed, or lifecycle does not hold every transition.
    """
    one = Bench(redis_url, plan or Plan(), told)
    try:
        return await one.run()
    finally:
        await one.client.aclose()


class Bench:
    """One benchmark of one server."""

    def __init__(self, redis_url: str, plan: Plan, told: Callable[[str], None]) -> None:
        self.redis_url = redis_url
        self.plan = plan
        self.client = connect(redis_url)
        self._flows = Flows([noop.bare])
        self._told = told

    async def run(self) -> dict[str, Any]:
        """Everything."""
        plan, load_before = self.plan, os.getloadavg()
        floors: list[dict[str, float]] = []
        runs: dict[str, list[Throughput]] = {"shipped": [], "partitions": [], "sampled": []}
        async with _sink() as endpoint:
            for turn in range(1, plan.rounds + 1):
                self._told(f"floor and pipeline, {turn} of {plan.rounds}")
                floors.append(await self.floor())
                runs["shipped"].append(await self.pipeline(endpoint))
                runs["partitions"].append(await self.pipeline(endpoint, partitions=plan.partitions))
                runs["sampled"].append(await self.pipeline(endpoint, sampled=1.0))
        self._told("latency")
        latency_ms = await self.latency_ms()
        self._told("memory")
        redis_bytes = await self.redis_bytes_per_job()
        middle = {name: _medians(found) for name, found in runs.items()}
        floor_per_s = median(found["floor_per_s"] for found in floors)
        shipped = middle["shipped"]
        return {
            "transitions_per_s": shipped.transitions_per_s,
            "floor_per_s": floor_per_s,
            "floor_busy_per_s": median(found["floor_busy_per_s"] for found in floors),
            "ratio_to_floor": round(shipped.transitions_per_s / floor_per_s, 3),
            "latency_ms": latency_ms,
            "redis_bytes_per_job": redis_bytes,
            "worker_rss_mb": shipped.worker_rss_mb,
            "cpu_us_per_transition": shipped.cpu_us_per_transition,
            "server_cpu_us_per_transition": shipped.server_cpu_us_per_transition,
            "with_partitions": {"partitions": plan.partitions, **asdict(middle["partitions"])},
            "with_sampling_1": asdict(middle["sampled"]),
            "runs": {"floor": floors, **{name: [asdict(one) for one in found] for name, found in runs.items()}},
            "conditions": await self._conditions(load_before),
        }

    async def floor(self) -> dict[str, float]:
        """One run of the floor.

        Raises:
            RuntimeError: It failed, or is not there (it comes with the source tree).
        """
        found: dict[str, float] = await _output([str(FLOOR), "--url", self.redis_url, "--jobs", str(self.plan.jobs)])
        return found

    async def pipeline(self, endpoint: str, *, partitions: int = 1, sampled: float = 0.01) -> Throughput:
        """One run of the six-stage no-op pipeline by one worker process.

        Args:
            endpoint: Where sampled spans go (OTLP over HTTP).
            partitions: That the jobs are spread over.
            sampled: Share of the jobs whose trace is sampled.

        Raises:
            RuntimeError: The worker failed, or lifecycle does not hold every transition that it counted.
        """
        jobs = self.plan.jobs
        async with self._namespace(partitions) as log:
            every = max(1, round(1 / sampled))
            await self._submit(log, jobs, lambda n: n % every == 0)
            transitions = jobs * len(STAGES)
            orders = Orders(self.redis_url, log.keys.namespace, partitions, transitions)
            before = await self._server_cpu_s()
            done = Done(**await _output(_worker_command(orders), OTEL_EXPORTER_OTLP_ENDPOINT=endpoint))
            server_cpu_s = await self._server_cpu_s() - before
            completed = await self._completed(log)
        if not done.outcomes.get("completed") == completed == transitions:
            msg = f"of {transitions} transitions the worker counted {done.outcomes}, lifecycle has {completed}"
            raise RuntimeError(msg)
        return Throughput(
            transitions_per_s=round(transitions / done.took_s),
            cpu_us_per_transition=round(done.cpu_s / transitions * 1e6, 1),
            server_cpu_us_per_transition=round(server_cpu_s / transitions * 1e6, 1),
            worker_rss_mb=round(done.rss_mb, 1), transitions=transitions, lifecycle_completed=completed,
        )  # fmt: skip

    async def latency_ms(self) -> dict[str, float]:
        """From the call of `submit` to the beginning of the job's first handler, in another process, which is idle."""
        plan = self.plan
        jobs = WARM_UP_JOBS + plan.latency_jobs
        called_ns: dict[str, int] = {}
        async with self._namespace(1) as log:
            orders = Orders(self.redis_url, log.keys.namespace, 1, jobs * len(STAGES), is_timing_starts=True)
            worker = await _start(_worker_command(orders))
            try:
                await _ready(worker)
                began = time.perf_counter()
                for n in range(jobs):
                    await asyncio.sleep(max(0.0, began + n / plan.latency_per_s - time.perf_counter()))
                    at = time.monotonic_ns()
                    submitted = await submit(log, self._flows, JobRequest(flow="noop", spec={"n": n}))
                    called_ns[submitted.job_id] = at
                done = Done(**await _read(worker))
            finally:
                if worker.returncode is None:
                    worker.kill()
                    await worker.wait()
        waits = [(done.first_ns[job] - at) / 1e6 for job, at in list(called_ns.items())[WARM_UP_JOBS:]]
        cuts = quantiles(waits, n=100, method="inclusive")
        return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2)}

    async def redis_bytes_per_job(self) -> float:
        """What a queued small job takes: record, stream entry and lifecycle entry, without its idempotency key."""
        before = await self._used_bytes()
        async with self._namespace(1) as log:
            await self._submit(log, self.plan.memory_jobs, lambda _: False)
            await self._remove(f"{log.keys.partition(0).prefix}accepted:*")
            return round((await self._used_bytes() - before) / self.plan.memory_jobs, 1)

    @asynccontextmanager
    async def _namespace(self, partitions: int) -> AsyncIterator[Log]:
        keys = Keys(f"bench-{uuid.uuid4().hex[:12]}", partitions)
        try:
            yield Log(self.client, keys, self._flows, record_ttl_s=Settings().record_ttl_s)
        finally:
            await self._remove(f"{keys.namespace}:*")

    async def _submit(self, log: Log, jobs: int, is_sampled: Callable[[int], bool]) -> None:
        for first in range(0, jobs, BATCH):
            batch = []
            for n in range(first, min(first + BATCH, jobs)):
                traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-0{int(is_sampled(n))}"
                job_id = job_id_for(f"{log.keys.namespace} {n}", log.keys.partitions)
                request = JobRequest(flow="noop", spec={"n": n})
                batch.append(new_job(noop.bare, request, job_id, tenant="default", traceparent=traceparent))
            await log.submit_many(batch)

    async def _completed(self, log: Log) -> int:
        count = 0
        for keys in log.keys.all_partitions:
            at = "-"
            while rows := await self.client.xrange(keys.lifecycle, at, "+", count=5_000):
                count += sum(fields[b"type"] == b"completed" for _, fields in rows)
                at = f"({rows[-1][0].decode()}"
        return count

    async def _remove(self, pattern: str) -> None:
        batch: list[bytes] = []
        async for key in self.client.scan_iter(pattern, count=1_000):
            batch.append(key)
            if len(batch) == 1_000:  # noqa: PLR2004 - the page above
                await self.client.delete(*batch)
                batch.clear()
        if batch:
            await self.client.delete(*batch)

    async def _server_cpu_s(self) -> float:
        cpu = await self.client.info("cpu")
        return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])

    async def _used_bytes(self) -> int:
        return int((await self.client.info("memory"))["used_memory"])

    async def _conditions(self, load_before: Sequence[float]) -> dict[str, Any]:
        server = await self.client.info("server")
        settings = Settings()
        return {
            "server": f"{server.get('server_name', 'redis')} {server.get('valkey_version') or server['redis_version']}",
            "fsync": await self._fsync(),
            "partitions": 1,
            "sampling": 0.01,
            "concurrency": settings.concurrency,
            "lease_ms": settings.lease_ms,
            "jobs": self.plan.jobs,
            "rounds": self.plan.rounds,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "load_average_before": [round(load, 2) for load in load_before],
            "load_average_after": [round(load, 2) for load in os.getloadavg()],
        }

    async def _fsync(self) -> str:
        try:
            if (await self.client.config_get("appendonly"))["appendonly"] != "yes":
                return "no append-only file"
            return str((await self.client.config_get("appendfsync"))["appendfsync"])
        except Exception as error:  # noqa: BLE001 - a hosted server may refuse CONFIG; the figures stand without
            return f"not known: {error}"


def _medians(runs: Sequence[Throughput]) -> Throughput:
    rows = [asdict(one) for one in runs]
    middle = {name: median(row[name] for row in rows) for name in rows[0]}
    return Throughput(**{name: round(value) if name in _WHOLE else round(value, 1) for name, value in middle.items()})


def _worker_command(orders: Orders) -> list[str]:
    return ["-m", "api.bench_worker", orjson.dumps(asdict(orders)).decode()]


async def _start(arguments: Sequence[str], **environment: str) -> asyncio.subprocess.Process:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip


async def _ready(worker: asyncio.subprocess.Process) -> None:
    assert worker.stderr is not None  # noqa: S101 - it was asked for
    try:
        await worker.stderr.readuntil(b"ready\n")
    except asyncio.IncompleteReadError as end:
        raise RuntimeError(f"the worker ended before it was ready:\n{end.partial.decode()[-4_000:]}") from None


async def _read(process: asyncio.subprocess.Process) -> dict[str, Any]:
    out, err = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"a measuring process failed ({process.returncode}):\n{err.decode()[-4_000:]}")
    found: dict[str, Any] = orjson.loads(out)
    return found


async def _output(arguments: Sequence[str], **environment: str) -> dict[str, Any]:
    return await _read(await _start(arguments, **environment))


@asynccontextmanager
async def _sink() -> AsyncIterator[str]:
    """An OTLP endpoint that accepts every span and keeps none."""

    async def accept(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


__all__ = ["Bench", "Plan", "Throughput", "bench"]
