"""The process tree: this process owns the servers, a supervisor below it the API and the workers.

::

    millrace up            embedded servers, their revival, what is shown
    └── supervisor         forks, restarts, drains; one thread, no event loop
        ├── api            uvicorn on the socket that was bound before anything was started
        └── worker ...     one consumer each, on uvloop

The supervisor is a process group of its own: Ctrl-C reaches this process alone, which passes it on. When this process
is killed, the supervisor drains; the servers live on and the next start takes them over.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import uvloop
from mode import Service

from consumers.flow import installed
from consumers.outcome import Outcome, Snooze
from consumers.resources import SharedResources
from consumers.supervisor import DRAINED, SIGNALS, Role, Supervisor
from consumers.worker.disown import disown
from consumers.worker.follow import ArchiveFollower, HistoryFollower, Retention
from consumers.worker.ingest import Ingest
from consumers.worker.replaying import Replayer
from consumers.worker.schedules import ScheduleLoop
from consumers.worker.watchdog import Watchdog
from consumers.worker.worker import Worker, WorkerOptions
from schemas.names import POOLS, STAGES, StageName
from streams import telemetry
from streams.connect import connect
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from pydantic import BaseModel

    from api.environment import Place
    from consumers.context import StageContext
    from consumers.execute import Middleware, Next

logger = logging.getLogger(__name__)

GIVE_BACK_S: Final = 15.0
"""What a worker may take, after its grace, to give back what did not finish and to close."""
API_GRACE_S: Final = 3
"""What open responses (live events, mostly) get when the API stops."""
CRASHED_STOP_S: Final = 5.0
POLL_S: Final = 0.05
PASS_ON_S: Final = 1.0
"""After this an entry of a flow that a worker does not run is offered again."""


@dataclass(frozen=True, slots=True)
class Workers:
    """What the worker processes do.

    Attributes:
        processes: How many; 0 for none.
        name: Put before the consumers' names.
        flows: Only these; empty for all that are installed.
        concurrency: Slots of the default pool in each process; None for the setting.
        most: Processes that backlog may make of `processes`; 0 for no more than those.
    """

    processes: int
    name: str = ""
    stages: tuple[StageName, ...] = STAGES
    pools: tuple[str, ...] = POOLS
    flows: tuple[str, ...] = ()
    concurrency: int | None = None
    most: int = 0

    def consumer(self, process: str) -> str:
        """The consumer's name in a process of this name."""
        return f"{self.name}-{process}" if self.name else process


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        api: Bound socket of the API; None for no API.
        log: File that takes the processes' log lines; None leaves them on stderr.
        beside: More processes, such as the demo's site.
    """

    place: Place
    workers: Workers
    api: socket.socket | None = None
    log: Path | None = None
    beside: tuple[Role, ...] = field(default=())


def worker_options(workers: Workers, process: str, *, has_store: bool) -> WorkerOptions:
    """What one worker process runs: its stages, and beside them what every worker may do."""
    follows: list[Callable[[Worker], Service]] = [Ingest, ArchiveFollower, Retention, ScheduleLoop, Watchdog]
    if has_store:
        follows += [HistoryFollower, Replayer]
    return WorkerOptions(
        name=workers.consumer(process),
        pools=workers.pools,
        stages=workers.stages,
        concurrency=workers.concurrency,
        middleware=(_only(workers.flows),) if workers.flows else (),
        follows=tuple(follows),
    )


def listen(host: str, port: int) -> socket.socket:
    """Bind the API's address, before anything is started.

    Raises:
        MillraceError: It is taken, or not ours; the text says what to do.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise MillraceError(f"MILLRACE_API_HOST={host} is no address of this machine ({error.strerror})") from None
    bound = socket.socket(family, kind, proto)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(1)  # two that bound with SO_REUSEADDR are told apart only here
    except OSError as error:
        bound.close()
        raise MillraceError(
            f"the API cannot listen on {host}:{port} ({error.strerror}): stop what is there, or take another port with "
            "--port or MILLRACE_API_PORT (0 takes a free one)"
        ) from None
    bound.set_inheritable(True)
    return bound


class Tree:
    """A supervisor in a process of its own, and what runs below it. Make it with `start`."""

    def __init__(self, pid: int, lifeline: int) -> None:
        self._pid = pid
        self._lifeline = lifeline
        self.exit_code: int | None = None

    @classmethod
    def start(cls, plan: Plan) -> Tree:
        """Fork the supervisor; it forks the rest. Call it from a process without threads and without an event loop.

        Args:
            plan: What to run.
        """
        roles = [*plan.beside]
        if plan.api is not None:
            roles.append(Role("api", 1, functools.partial(_api, plan)))
        if plan.workers.processes:
            run, on_death = functools.partial(_worker, plan), functools.partial(_disown, plan)
            roles.append(Role("worker", plan.workers.processes, run, on_death=on_death, most=plan.workers.most))
        supervisor = Supervisor(roles, grace_s=plan.place.settings.drain_s + GIVE_BACK_S)
        held, lifeline = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # What arrives before the supervisor listens is delivered then; this process's handler would raise in it.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.close(held)
            return cls(pid, lifeline)
        os.close(lifeline)
        raise AssertionError(_supervise(supervisor, plan.log, held))

    @property
    def is_running(self) -> bool:
        """Whether it lives; sets `exit_code` when it does not: 0 when all drained in time."""
        if self.exit_code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code is None

    def wait(self) -> None:
        """Return when it has ended."""
        while self.is_running:
            time.sleep(POLL_S)

    def drain(self) -> None:
        """Ask all for a graceful end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End all at once, after `drain` was asked for."""
        self._send(signal.SIGINT)

    def roll(self) -> None:
        """Restart the processes one after the other."""
        self._send(signal.SIGHUP)

    def scale(self, *, more: bool) -> None:
        """One worker process more, or one less."""
        self._send(signal.SIGUSR1 if more else signal.SIGUSR2)

    def _send(self, number: int) -> None:
        if self.is_running:
            os.kill(self._pid, number)


def _supervise(supervisor: Supervisor, log: Path | None, held: int) -> NoReturn:
    """The supervisor's process, from its fork to its end."""
    code = 1
    try:
        os.setpgid(0, 0)
        with open(os.devnull) as nothing:  # noqa: PTH123 - not a file
            os.dup2(nothing.fileno(), 0)
        if log is not None:
            with log.open("ab") as lines:
                os.dup2(lines.fileno(), 1)
                os.dup2(lines.fileno(), 2)
        telemetry.setup_logging()
        leash = _leash(held)
        code = supervisor.run()
        os.kill(leash, signal.SIGKILL)
        os.waitpid(leash, 0)
    except BaseException:  # nothing may escape into the command's stack
        logger.exception("the supervisor failed")
    finally:
        os._exit(code)


def _leash(held: int) -> int:
    """A process that tells the supervisor to drain when the process above it is gone, however it ended."""
    supervisor = os.getpid()
    pid = os.fork()
    if pid:
        os.close(held)
        return pid
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.read(held, 1)
    if os.getppid() == supervisor:
        with suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGTERM)
    os._exit(0)


def _worker(plan: Plan, process: str) -> int:
    telemetry.setup_logging()
    Service.mundane_level = "debug"  # that each of a dozen services starts and stops
    tracing = telemetry.start(instance=plan.workers.consumer(process))
    try:
        return uvloop.run(_work(plan, process))
    finally:
        tracing.shutdown()


async def _work(plan: Plan, process: str) -> int:
    """Be a worker until told to drain (0, or `DRAINED` by an operator), or until a service of it crashes (1)."""
    place = plan.place
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with SharedResources(place.settings, place.database_url, owner=process) as resources:
        worker = Worker(
            place.settings,
            redis_url=place.redis_url,
            flows=installed(),
            resources=resources,
            options=worker_options(plan.workers, process, has_store=place.database_url is not None),
        )
        await worker.start()
        ends = [
            asyncio.ensure_future(one)
            for one in (
                told.wait(),
                worker.control.drain_asked.wait(),
                worker.wait_until_stopped(),
                worker.is_spent.wait(),
            )
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        if worker.crash_reason is None:
            await worker.drain()
            stays_out = worker.control.drain_asked.is_set() and not worker.control.is_replaced
            return DRAINED if stays_out and not told.is_set() else 0
        logger.error("a service of this worker crashed: %r; it ends, and is started again", worker.crash_reason)
        with suppress(Exception):
            async with asyncio.timeout(CRASHED_STOP_S):
                await worker.stop()
        return 1


def _api(plan: Plan, process: str) -> None:
    import uvicorn  # noqa: PLC0415 - workers alone do without

    from api.app import create_app  # noqa: PLC0415 - as above
    from api.server import Server  # noqa: PLC0415 - as above

    telemetry.setup_logging()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    tracing = telemetry.start(instance=process)
    # uvicorn sends itself what it caught once more when it is done: that is not to count as a crash.
    signal.signal(signal.SIGTERM, lambda *_: None)
    place = plan.place
    assert plan.api is not None  # noqa: S101 - the role exists only with it
    app = create_app(place.settings, redis_url=place.redis_url, database_url=place.database_url)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, loop="uvloop", timeout_graceful_shutdown=API_GRACE_S
    )  # fmt: skip
    try:
        Server(config, app).run(sockets=[plan.api])
    finally:
        tracing.shutdown()


def _disown(plan: Plan, process: str) -> None:
    """Free what a dead worker held, so that its entries run again at once."""
    asyncio.run(_free(plan.place, plan.workers.consumer(process)))


async def _free(place: Place, consumer: str) -> None:
    redis: Any = connect(place.redis_url)
    try:
        freed = await disown(redis, place.settings, installed(), consumer)
        logger.warning("worker %s died: %d entries of it run again", consumer, freed)
    finally:
        await redis.aclose()


def _only(flows: tuple[str, ...]) -> Middleware:
    """Pass on the entries of other flows: streams are shared, so this worker reads them too."""

    async def layer(_: BaseModel, context: StageContext, inner: Next) -> Outcome:
        if context.flow in flows:
            return await inner()
        return Snooze(PASS_ON_S, "not a flow of this worker")

    return layer
