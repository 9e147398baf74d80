"""A process of a chaos run: ``python -m api.chaos.process CONFIG``; CONFIG is JSON, see `Config`.

It runs until its standard input ends, SIGTERM, or worse. A line on standard input sets its clock: ``clock SECONDS``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from typing import Final, Literal

import orjson
import uvloop
from mode import Service

from api.chaos import guards
from api.chaos.clock import jump_to
from api.chaos.flow import FLOWS
from api.up import Workers, worker_options
from consumers.cpu.guard import die_with_parent
from consumers.resources import SharedResources
from consumers.supervisor import Role, Supervisor
from consumers.worker.disown import disown
from consumers.worker.worker import Worker
from schemas.settings import Settings, load_settings
from streams import telemetry
from streams.connect import connect

CRASHED: Final = "a service of this worker crashed:"


@dataclass(frozen=True, slots=True)
class Config:
    """What the process is. All else comes from ``MILLRACE_*`` and ``OTEL_*``.

    Attributes:
        role: ``worker``; ``tree``: a supervisor with one; ``api``: a supervisor with the API.
        database_url: Of PostgreSQL; empty for none.
        without: A guard to switch off.
        port: Of the API.
    """

    role: Literal["worker", "tree", "api"]
    name: str
    redis_url: str
    database_url: str = ""
    without: guards.GuardName | None = None
    port: int = 0

    def json(self) -> str:
        """As the argument of the process."""
        return orjson.dumps(asdict(self)).decode()


async def _obey() -> None:
    """Follow the orders on standard input; its end is the last one."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order, _, value = line.decode().partition(" ")
        if order == "clock":
            jump_to(float(value))
    os._exit(1)


async def _work(config: Config, settings: Settings, name: str) -> int:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    obeying = loop.create_task(_obey())
    database_url = config.database_url or None
    async with SharedResources(settings, database_url, owner=name) as resources:
        options = worker_options(Workers(1, name=config.name), name, has_store=database_url is not None)
        worker = Worker(settings, redis_url=config.redis_url, flows=FLOWS, resources=resources, options=options)
        await worker.start()
        ends = [loop.create_task(told.wait()), loop.create_task(worker.wait_until_stopped())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        obeying.cancel()
        if not told.is_set():
            sys.stderr.write(f"{CRASHED} {worker.crash_reason!r}\n")
            return 1
        await worker.drain()
    return 0


def _worker(config: Config, settings: Settings, name: str) -> int:
    Service.mundane_level = "debug"
    tracing = telemetry.start(instance=f"{config.name}-{name}")
    try:
        return uvloop.run(_work(config, settings, name))
    finally:
        tracing.shutdown()


def _tree(config: Config, settings: Settings) -> int:
    async def free(name: str) -> None:
        client = connect(config.redis_url)
        try:
            await disown(client, settings, FLOWS, Workers(1, name=config.name).consumer(name))
        finally:
            await client.aclose()

    role = Role(
        "worker", 1, lambda name: _worker(config, settings, name), on_death=lambda name: asyncio.run(free(name))
    )
    return Supervisor([role], grace_s=5).run()


def _api(config: Config, settings: Settings) -> int:
    from api.up import listen  # noqa: PLC0415 - workers do without

    bound = listen("127.0.0.1", config.port)
    return Supervisor([Role("api", 1, lambda _: _serve(config, settings, bound))], grace_s=5).run()


def _serve(config: Config, settings: Settings, bound: socket.socket) -> None:
    import uvicorn  # noqa: PLC0415 - workers do without

    from api.app import create_app  # noqa: PLC0415 - as above
    from api.server import Server  # noqa: PLC0415 - as above

    app = create_app(settings, config.redis_url, config.database_url or None, FLOWS)
    options = uvicorn.Config(app, log_config=None, access_log=False, loop="uvloop", timeout_graceful_shutdown=1)
    Server(options, app).run(sockets=[bound])


def main() -> int:
    """Be what the first argument says."""
    config = Config(**orjson.loads(sys.argv[1]))
    die_with_parent(os.getppid())
    telemetry.setup_logging()
    if config.role == "api":
        import api.app  # noqa: F401, PLC0415 - once, before it is forked
    if config.without is not None:
        guards.switch_off(config.without)
    settings = load_settings()
    match config.role:
        case "worker":
            return _worker(config, settings, f"{os.getpid()}-{os.urandom(4).hex()}")
        case "tree":
            return _tree(config, settings)
        case "api":
            return _api(config, settings)


if __name__ == "__main__":
    sys.exit(main())
