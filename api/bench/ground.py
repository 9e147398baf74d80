"""The ground that a benchmark stands on: one server, namespaces of its own on it, and what it is asked about itself.

The runtime, codec and scripts are the shipped ones; only the handlers do nothing. Keys go under namespaces of their own
and are removed. Whatever a server refuses to say (a hosted one may refuse CONFIG) is not known, and the rest stands.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from redis.exceptions import ResponseError

from api.bench.plan import Plan
from api.bench.worker import Orders
from consumers import noop
from consumers.flow import Flows
from consumers.submit import new_job
from schemas.jobs import JobRequest
from schemas.names import STAGES, JobId
from schemas.settings import Settings
from streams import scripts
from streams.connect import connect
from streams.keys import Keys, job_id_for
from streams.log import Log, NewJob

BATCH: Final = 100
SLOW_US: Final = 5_000
"""A script or command that takes longer blocks everybody else for as long."""
SLOW_KEPT: Final = 4_096
LOOK_EVERY_S: Final = 0.02
GIVE_UP_S: Final = 600.0
FLOWS: Final = Flows([noop.bare])


@dataclass(frozen=True, slots=True)
class Slow:
    """One entry of SLOWLOG.

    Attributes:
        during: What was measured.
        command: Its name; of a script of ours, the move's.
        arguments: How many it had.
    """

    during: str
    command: str
    arguments: int
    took_ms: float


@dataclass(slots=True)
class Ground:
    """One server, and how much is measured on it.

    Attributes:
        endpoint: An OTLP endpoint that keeps nothing; sampled spans go there.
        slow: What took longer than 5 ms while something was `watched`.
        transitions: Made while something was watched.
        peers_python: Python that has the peers.
    """

    redis_url: str
    plan: Plan
    told: Callable[[str], None]
    endpoint: str = ""
    peers_python: str = ""
    client: Any = None
    slow: list[Slow] = field(default_factory=list)
    transitions: int = 0
    is_slow_known: bool = True

    def __post_init__(self) -> None:
        """Connect when first used."""
        self.client = connect(self.redis_url)

    @asynccontextmanager
    async def namespace(self, partitions: int = 1) -> AsyncIterator[Log]:
        """A log of its own; all of it is removed afterwards."""
        keys = Keys(f"bench-{uuid.uuid4().hex[:12]}", partitions)
        try:
            yield Log(self.client, keys, FLOWS, record_ttl_s=Settings().record_ttl_s)
        finally:
            await self.remove(f"{keys.namespace}:*")

    def orders(self, log: Log, transitions: int = 0, **more: Any) -> Orders:
        """Of a worker on this log."""
        return Orders(self.redis_url, log.keys.namespace, log.keys.partitions, transitions, **more)

    def environment(self, log: Log, home: Path) -> dict[str, str]:
        """Of a command on this log: its own home, none of the operator's stores."""
        unset = {f"MILLRACE_{name}": "" for name in ("DATABASE_URL", "ARTIFACTS_URL", "SMTP_URL", "EVENTS_SECRET")}
        return {
            **os.environ, **unset, "MILLRACE_REDIS_URL": self.redis_url, "MILLRACE_HOME": str(home),
            "MILLRACE_NAMESPACE": log.keys.namespace, "MILLRACE_PARTITIONS": str(log.keys.partitions),
        }  # fmt: skip

    async def fill(
        self, log: Log, jobs: int, *, first: int = 0, is_sampled: Callable[[int], bool] = lambda _: False
    ) -> None:
        """Submit jobs in batches, numbered from `first`."""
        for start in range(first, first + jobs, BATCH):
            numbers = range(start, min(start + BATCH, first + jobs))
            await log.submit_many([new_bench_job(log, n, is_sampled=is_sampled(n)) for n in numbers])

    async def has_ended(self, log: Log) -> bool:
        """Whether nothing is open in the stage streams or timers.

        A job only moves on to later streams, so that one that is in none of them, looked at in order, is over.
        """
        pipe = self.client.pipeline(transaction=False)
        for keys in log.keys.all_partitions:
            pipe.zcard(keys.timers)
            for stage in STAGES:
                pipe.xlen(keys.stream(stage))
            pipe.zcard(keys.timers)
        return not any(await pipe.execute())

    async def until_ended(self, log: Log) -> None:
        """Wait for that.

        Raises:
            TimeoutError: It was not so within ten minutes.
        """
        async with asyncio.timeout(GIVE_UP_S):
            while not await self.has_ended(log):  # noqa: ASYNC110 - another process works, and Redis tells no event
                await asyncio.sleep(LOOK_EVERY_S)

    async def happened(self, log: Log) -> AsyncIterator[tuple[int, dict[bytes, bytes]]]:
        """Every lifecycle entry: when (ms), and its fields."""
        for keys in log.keys.all_partitions:
            at = "-"
            while rows := await self.client.xrange(keys.lifecycle, at, "+", count=1_000):
                for entry_id, fields in rows:
                    yield int(entry_id.split(b"-")[0]), fields
                at = f"({rows[-1][0].decode()}"

    async def completed(self, log: Log) -> int:
        """`completed` entries in lifecycle."""
        return sum([fields[b"type"] == b"completed" async for _, fields in self.happened(log)])

    async def remove(self, pattern: str) -> None:
        """Remove keys without blocking the server."""
        batch: list[bytes] = []
        async for key in self.client.scan_iter(pattern, count=1_000):
            batch.append(key)
            if len(batch) == 1_000:  # noqa: PLR2004 - the page above
                await self.client.unlink(*batch)
                batch.clear()
        if batch:
            await self.client.unlink(*batch)

    async def cpu_s(self) -> float:
        """CPU time of the server so far."""
        cpu = await self.client.info("cpu")
        return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])

    async def used_bytes(self) -> int:
        """Memory in use."""
        return int((await self.client.info("memory"))["used_memory"])

    @asynccontextmanager
    async def watched(self, during: str, transitions: int = 0) -> AsyncIterator[None]:
        """Note what took longer than 5 ms inside the block; the server's own threshold is put back."""
        try:
            before = await self.client.config_get("slowlog-*")
            await self.client.config_set("slowlog-log-slower-than", SLOW_US)
            await self.client.config_set("slowlog-max-len", SLOW_KEPT)
        except ResponseError:
            self.is_slow_known = False
            yield
            return
        await self.client.slowlog_reset()
        try:
            yield
            self.transitions += transitions
            self.slow += [_slow(during, row) for row in await self.client.slowlog_get(SLOW_KEPT)]
        finally:
            for name, value in before.items():
                await self.client.config_set(name, value)

    @asynccontextmanager
    async def undisturbed(self) -> AsyncIterator[bool]:
        """Let nobody take the core from a local server inside the block; yields whether that could be had.

        Linux, and the right to: real-time scheduling of its main thread, which executes every command.
        """
        pid = int((await self.client.info("server")).get("process_id", 0))
        try:
            before = os.sched_getscheduler(pid)
            os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
        except (OSError, AttributeError):
            yield False
            return
        try:
            yield True
        finally:
            os.sched_setscheduler(pid, before, os.sched_param(0))

    async def conditions(self, load_before: Sequence[float]) -> dict[str, Any]:
        """What the figures were measured under."""
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
            "cores": os.cpu_count(),
            "load_average_before": [round(load, 2) for load in load_before],
            "load_average_after": [round(load, 2) for load in os.getloadavg()],
            "server_waited_for_a_core_s": _waited_s(server.get("process_id")),
            "measured_at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        }

    async def _fsync(self) -> str:
        try:
            if (await self.client.config_get("appendonly"))["appendonly"] != "yes":
                return "no append-only file"
            return str((await self.client.config_get("appendfsync"))["appendfsync"])
        except ResponseError as error:
            return f"not known: {error}"


def new_bench_job(log: Log, n: int, *, is_sampled: bool = False, job_id: JobId | None = None) -> NewJob:
    """A job that does nothing, with a trace context as a submission has it."""
    traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-0{int(is_sampled)}"
    job_id = job_id or job_id_for(f"{log.keys.namespace} {n}", log.keys.partitions)
    request = JobRequest(flow="noop", spec={"n": n})
    return new_job(noop.bare, request, job_id, tenant="default", traceparent=traceparent)


def _slow(during: str, row: dict[str, Any]) -> Slow:
    parts = row["command"].split(b" ")
    command = parts[0].decode(errors="replace").lower()
    if command in {"evalsha", "eval"} and len(parts) > 1:
        by_sha = {scripts.script(name).sha: name for name in scripts.MOVES}
        command = by_sha.get(parts[1].decode(errors="replace"), command)
    return Slow(during, command, len(parts) - 1, round(row["duration"] / 1_000, 2))


def _waited_s(pid: Any) -> float | None:
    """Seconds that a local process was ready to run and had no core (Linux: schedstat); None when not known."""
    try:
        # Of the main thread, which executes every command.
        return round(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9, 2)
    except (OSError, IndexError, ValueError):
        return None


@asynccontextmanager
async def sink() -> AsyncIterator[str]:
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
