"""Where chaos happens: servers, workers and an API of its own, under a folder that is removed afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import psutil
from aiohttp import web
from sqlalchemy import text

from api.chaos.flow import FLOWS, SINK_TABLE
from api.chaos.process import CRASHED, Config
from api.chaos.proxy import Proxy
from consumers.store import Store, upgrade
from consumers.worker.presence import presence
from schemas.names import LANES, POOLS, STAGES
from streams.connect import connect
from streams.embedded.postgres import PostgresServer
from streams.embedded.valkey import ValkeyServer
from streams.errors import MillraceError
from streams.keys import Keys
from streams.log import Log
from streams.reader import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.chaos.guards import GuardName

ROOT: Final = Path(__file__).resolve().parents[2]
NAMESPACE: Final = "chaos"
READY_WITHIN_S: Final = 90.0
POLL_S: Final = 0.05
LOG_TAIL: Final = 4_000


@dataclass(frozen=True, slots=True)
class Layout:
    """What is started.

    Attributes:
        workers: Processes without a supervisor; each has a way to Redis of its own.
        tree: Whether there is a supervisor with one more worker, which it starts again at once.
        api: Whether there is an API.
        postgres: Whether there is PostgreSQL, and with it history, sinks and results.
        lease_ms: Of every worker.
        redis_server: ``wheel``, a path, or None for the one that Millrace would choose.
        without: A guard of the log to switch off.
        durable: Whether PostgreSQL and Redis sync every write, as shipped.
    """

    workers: int = 2
    tree: bool = True
    api: bool = True
    postgres: bool = True
    partitions: int = 1
    lease_ms: int = 5_000
    redis_server: str | None = None
    without: GuardName | None = None
    durable: bool = True

    @property
    def worker_names(self) -> tuple[str, ...]:
        """Of the workers that nobody supervises."""
        return tuple(f"worker{n + 1}" for n in range(self.workers))

    @property
    def networks(self) -> tuple[str, ...]:
        """Who has a way to Redis of its own."""
        return (*self.worker_names, *(("tree",) if self.tree else ()), *(("api",) if self.api else ()), "load")


@dataclass(slots=True)
class Child:
    """A process of the run, which may be started again under the same name; `is_down` while a fault keeps it down."""

    config: Config
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    is_down: bool = False

    def start(self) -> None:
        """Start it; it is at work a second or two later."""
        self.is_down = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "api.chaos.process", self.config.json()], cwd=ROOT, env=dict(self.environment),
                stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Of its last start.

        Raises:
            MillraceError: It was never started.
        """
        if self.process is None:
            raise MillraceError(f"{self.config.name} was not started")
        return self.process.pid

    def order(self, line: str) -> None:
        """Tell it something on its standard input."""
        if self.process is not None and self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.write(f"{line}\n".encode())
                self.process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL to it and all below it; returns when it is gone, and it stays down until it is started."""
        self.is_down = True
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            for below in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    below.kill()
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


@dataclass(slots=True)
class OtlpSink:
    """An OTLP endpoint that accepts spans and keeps none; it can be dead."""

    port: int = 0
    requests: int = 0
    _runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Listen; always at the same port."""

        async def accept(request: web.Request) -> web.Response:
            await request.read()
            self.requests += 1
            return web.Response(content_type="application/x-protobuf")

        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/traces", accept)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


@dataclass(slots=True)
class Place:
    """The servers and processes of a run. Make it with `opened`."""

    layout: Layout
    home: Path
    redis: ValkeyServer
    postgres: PostgresServer | None
    otlp: OtlpSink
    keys: Keys
    client: Any
    log: Log
    proxies: dict[str, Proxy] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def artifacts(self) -> Path:
        """The folder of the artifact store."""
        return self.home / "artifacts"

    @property
    def api_url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.children['api'].config.port}"

    async def consumers(self, child: str) -> list[dict[str, Any]]:
        """The presence records of a child's workers."""
        return [one for one in await presence(self.client, self.keys) if one["name"].startswith(f"{child}-")]

    async def held_by(self, consumer: str) -> set[tuple[str, str]]:
        """(job, task) of everything that is pending for a consumer."""
        streams = [
            keys.stream(stage, pool, lane)
            for keys in self.keys.all_partitions for stage in STAGES for pool in POOLS for lane in LANES
        ]  # fmt: skip
        pipe = self.client.pipeline(transaction=False)
        for stream in streams:
            pipe.xpending_range(stream, GROUP, "-", "+", 1_000, consumername=consumer)
        answers = await pipe.execute(raise_on_error=False)
        places = [
            (stream, row["message_id"])
            for stream, rows in zip(streams, answers, strict=True)
            if not isinstance(rows, Exception)
            for row in rows
        ]
        pipe = self.client.pipeline(transaction=False)
        for stream, entry_id in places:
            pipe.xrange(stream, entry_id, entry_id)
        found = await pipe.execute() if places else []
        fields = [rows[0][1] for rows in found if rows]
        # What somebody put there himself has no job before it is adopted.
        return {(row[b"job"].decode(), row[b"task"].decode()) for row in fields if b"job" in row}

    def revive(self) -> list[str]:
        """Start again what ended by itself, as an init system would; answers whom."""
        dead = [
            name for name, child in self.children.items()
            if not child.is_down and child.process is not None and child.process.poll() is not None
        ]  # fmt: skip
        for name in dead:
            self.children[name].start()
        return dead

    def crashes(self) -> Counter[str]:
        """What services of workers crashed of, from the logs: none should."""
        found: Counter[str] = Counter()
        for name in self.children:
            with (self.home / f"{name}.log").open(encoding="utf-8", errors="replace") as lines:
                found.update(line.strip() for line in lines if line.startswith(CRASHED))
        return found

    async def now_ms(self) -> int:
        """The server's time, which lifecycle's entry ids carry."""
        seconds, micros = await self.client.time()
        return int(seconds) * 1_000 + int(micros) // 1_000

    async def ready(self, names: Sequence[str]) -> None:
        """Wait until these children are at work.

        Raises:
            MillraceError: One is not within a minute and a half, or has ended; with the end of its log.
        """
        async with asyncio.timeout(READY_WITHIN_S):
            for name in names:
                while not await self._is_ready(name):
                    process = self.children[name].process
                    if process is None or process.poll() is not None:
                        tail = self.children[name].log.read_text(errors="replace")[-LOG_TAIL:]
                        raise MillraceError(f"{name} ended before it was ready:\n{tail}")
                    await asyncio.sleep(POLL_S)

    async def _is_ready(self, name: str) -> bool:
        if name != "api":
            return bool(await self.consumers(name))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{self.api_url}/health") as response:
                    return response.status == HTTPStatus.OK
        return False

    async def worker_pid(self, child: str) -> tuple[int, str]:
        """Process id and consumer name of a child's worker: itself, or the newest below its supervisor.

        Raises:
            MillraceError: It has no worker now.
        """
        records = sorted(await self.consumers(child), key=lambda one: float(one["started_at"]))
        alive = [one for one in records if psutil.pid_exists(one["pid"])]
        if not alive:
            raise MillraceError(f"{child} has no worker now")
        return int(alive[-1]["pid"]), str(alive[-1]["name"])


@asynccontextmanager
async def opened(layout: Layout) -> AsyncIterator[Place]:
    """Start everything; at the end all of it is gone."""
    async with AsyncExitStack() as stack:
        home = stack.enter_context(_home())
        options = {} if layout.durable else {"appendfsync": "no"}
        redis = ValkeyServer(home, options, layout.redis_server)
        await asyncio.to_thread(redis.start)
        stack.callback(redis.kill)
        postgres = None
        if layout.postgres:
            postgres = PostgresServer(home, {} if layout.durable else {"fsync": "off"})
            await asyncio.to_thread(postgres.start)
            stack.callback(postgres.kill)
            await _migrate(postgres.url)
        otlp = OtlpSink()
        await otlp.open()
        stack.push_async_callback(otlp.close)
        client = connect(redis.url)
        stack.push_async_callback(client.aclose)
        keys = Keys(NAMESPACE, layout.partitions)
        place = Place(layout, home, redis, postgres, otlp, keys, client, Log(client, keys, FLOWS, record_ttl_s=86_400))
        for name in layout.networks:
            proxy = place.proxies[name] = Proxy(_port_of(redis.url))
            await proxy.open()
            stack.push_async_callback(proxy.close)
        stack.callback(_kill_all, place)
        for name in (name for name in layout.networks if name != "load"):
            place.children[name] = _child(place, name)
            place.children[name].start()
        await place.ready(list(place.children))
        yield place


def _child(place: Place, name: str) -> Child:
    role: Any = name if name in {"api", "tree"} else "worker"
    config = Config(
        role, name, place.proxies[name].url, place.postgres.url if place.postgres else "", place.layout.without,
        _free_port() if name == "api" else 0,
    )  # fmt: skip
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MILLRACE_", "OTEL_"))}
    environment = {
        **kept,
        "MILLRACE_NAMESPACE": NAMESPACE,
        "MILLRACE_PARTITIONS": str(place.layout.partitions),
        "MILLRACE_HOME": str(place.home / "home"),
        "MILLRACE_ARTIFACTS_URL": str(place.artifacts),
        "MILLRACE_LEASE_MS": str(place.layout.lease_ms),
        "MILLRACE_DRAIN_S": "5",
        "MILLRACE_LIFECYCLE_MAX_BYTES": str(1 << 40),  # the checker reads all of it
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{place.otlp.port}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    return Child(config, environment, place.home / f"{name}.log")


@contextmanager
def _home() -> Iterator[Path]:
    """A folder that other OS users can pass through: PostgreSQL may run as one."""
    home = Path(tempfile.mkdtemp(prefix="millrace-chaos-")).resolve()
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _kill_all(place: Place) -> None:
    for child in place.children.values():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if child.process is not None:
                child.process.send_signal(signal.SIGCONT)
        child.kill()


async def _migrate(url: str) -> None:
    await upgrade(url)
    async with Store.connect(url) as store, store.database.begin() as session:
        await session.execute(text(SINK_TABLE))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
