"""The faults: of each one's function the part before ``yield`` is its beginning, the rest its end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal

import psutil

from api.chaos.place import Layout, Place
from streams.errors import MillraceError

Track = Literal["hard", "side"]
ProbedBy = Literal["log", "sink", "api"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault of a plan.

    Attributes:
        at_s: Seconds from the beginning of the run.
        target: Whom it hits; empty when there is only one.
        lasts_s: From its beginning to its end.
        value: Sample in [0, 1) for what else it has to choose.
    """

    at_s: float
    kind: str
    target: str
    lasts_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Hurt:
    """What a fault's beginning did.

    Attributes:
        consumer: Whose entries must be taken over by others; empty: a probe job tells of the recovery.
    """

    consumer: str = ""


Begun = AsyncGenerator[Hurt]
Run = Callable[[Place, Planned], AbstractAsyncContextManager[Hurt]]
Targets = Callable[[Layout], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    Attributes:
        about: One line for people.
        lasts_s: Shortest and longest.
        track: ``hard`` ones come one after the other, with time to recover; ``side`` ones beside them.
        settle_s: From its end until the next one of its track may begin.
        past_lease: The lease is added to how long it lasts.
        probed_by: What shows that all is well again, where nobody's entries are to be taken over.
        needs: What a layout must have.
    """

    kind: str
    about: str
    run: Run
    targets: Targets
    lasts_s: tuple[float, float]
    track: Track = "hard"
    settle_s: float = 2.0
    past_lease: bool = False
    probed_by: ProbedBy = "log"
    needs: Literal["", "postgres", "api", "tree", "workers"] = ""

    def fits(self, layout: Layout) -> bool:
        """Whether a layout has what it hits."""
        there = {
            "": True,
            "postgres": layout.postgres,
            "api": layout.api,
            "tree": layout.tree,
            "workers": layout.workers > 0,
        }
        return there[self.needs]


FAULTS: Final[dict[str, Fault]] = {}
"""Every kind of fault by its name."""


def _one(_: Layout) -> tuple[str, ...]:
    return ("",)


def _workers(layout: Layout) -> tuple[str, ...]:
    return layout.worker_names


def _networks(layout: Layout) -> tuple[str, ...]:
    return layout.networks


def fault(
    about: str,
    lasts_s: tuple[float, float],
    targets: Targets = _one,
    *,
    track: Track = "hard",
    settle_s: float = 2.0,
    past_lease: bool = False,
    probed_by: ProbedBy = "log",
    needs: Literal["", "postgres", "api", "tree", "workers"] = "",
) -> Callable[[Callable[[Place, Planned], Begun]], Run]:
    """Put a fault into the table, under the name of its function; see `Fault`."""

    def declare(function: Callable[[Place, Planned], Begun]) -> Run:
        run = asynccontextmanager(function)
        FAULTS[function.__name__] = Fault(
            function.__name__, about, run, targets, lasts_s, track, settle_s, past_lease, probed_by, needs
        )  # fmt: skip
        return run

    return declare


async def _consumer(place: Place, child: str) -> str:
    """The name under which a child works now; empty while it is on its way."""
    with suppress(MillraceError):
        return (await place.worker_pid(child))[1]
    return ""


@fault(
    "SIGKILL of a worker that nobody supervises; its leases run out",
    (0.5, 2.0),
    _workers,
    settle_s=8.0,
    needs="workers",
)
async def worker_sigkill(place: Place, one: Planned) -> Begun:
    """Kill, and start another one later."""
    consumer, child = await _consumer(place, one.target), place.children[one.target]
    child.kill()
    yield Hurt(consumer)
    child.start()


@fault("SIGKILL of a worker below a supervisor, which gives its entries back", (0.1, 0.5), settle_s=3.0, needs="tree")
async def supervised_sigkill(place: Place, _: Planned) -> Begun:
    """Kill; its supervisor starts another one."""
    pid, consumer = await place.worker_pid("tree")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    yield Hurt(consumer)


@fault(
    "SIGSTOP of a worker past its leases, then SIGCONT",
    (4.5, 6.0),
    _workers,
    past_lease=True,
    settle_s=1.0,
    needs="workers",
)
async def worker_sigstop(place: Place, one: Planned) -> Begun:
    """Stop it; when it goes on, others have its work."""
    consumer, pid = await _consumer(place, one.target), place.children[one.target].pid
    os.kill(pid, signal.SIGSTOP)
    yield Hurt(consumer)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@fault(
    "the network between a worker and Redis is cut past the leases",
    (4.5, 6.0),
    _workers,
    past_lease=True,
    settle_s=1.0,
    needs="workers",
)
async def network_cut(place: Place, one: Planned) -> Begun:
    """Connections end, and none comes about."""
    consumer, proxy = await _consumer(place, one.target), place.proxies[one.target]
    proxy.cut()
    yield Hurt(consumer)
    proxy.mend()


@fault("connections to Redis stay open and silent", (0.5, 4.0), _networks)
async def network_silence(place: Place, one: Planned) -> Begun:
    """Nothing passes either way."""
    place.proxies[one.target].silence()
    yield Hurt()
    place.proxies[one.target].mend()


@fault("answers of Redis are cut off after it acted", (1.5, 4.0), _networks)
async def replies_cut(place: Place, one: Planned) -> Begun:
    """One script call in eight, by dice of its own."""
    dice, proxy = random.Random(one.value), place.proxies[one.target]  # noqa: S311 - dice
    proxy.cut_answer = lambda chunk: b"EVALSHA" in chunk and dice.random() < 1 / 8
    yield Hurt()
    proxy.mend()


@fault("SIGKILL of Redis, which is started again with its data", (0.1, 2.0), settle_s=3.0)
async def redis_sigkill(place: Place, _: Planned) -> Begun:
    """Kill; start again at the same address."""
    await asyncio.to_thread(place.redis.kill)
    yield Hurt()
    await asyncio.to_thread(place.redis.start)


@fault("CLIENT KILL of every connection", (0.1, 0.2))
async def client_kill(place: Place, _: Planned) -> Begun:
    """All at once, but the run's own."""
    await place.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield Hurt()


@fault("CLIENT PAUSE: Redis answers nobody", (0.5, 4.0))
async def client_pause(place: Place, one: Planned) -> Begun:
    """For as long as the fault lasts."""
    await place.client.execute_command("CLIENT", "PAUSE", int(one.lasts_s * 1_000), "ALL")
    yield Hurt()


@fault("maxmemory is hit: Redis refuses what takes memory", (1.0, 4.0))
async def maxmemory(place: Place, _: Planned) -> Begun:
    """Below what is used already; then no limit again."""
    used = (await place.client.info("memory"))["used_memory"]
    await place.client.config_set("maxmemory", max(1, int(used * 0.9)))
    yield Hurt()
    await place.client.config_set("maxmemory", 0)


@fault("a slow disk: Redis stands still while it waits for fsync", (1.0, 4.0))
async def slow_disk(place: Place, one: Planned) -> Begun:
    """Its one thread is held for 50 to 400 ms, let go for 20, and so on: what a blocked fsync does to it."""
    pid, dice = place.redis.pid, random.Random(one.value)  # noqa: S311 - dice

    async def hold() -> None:
        while pid is not None:
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(dice.uniform(0.05, 0.4))
            finally:
                os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.02)

    holding = asyncio.create_task(hold())
    yield Hurt()
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


@fault("SIGKILL of the API below its supervisor", (0.1, 0.5), probed_by="api", needs="api")
async def api_sigkill(place: Place, _: Planned) -> Begun:
    """Kill; its supervisor starts another one on the same socket."""
    for below in psutil.Process(place.children["api"].pid).children():
        with suppress(psutil.NoSuchProcess):
            below.kill()
    yield Hurt()


@fault("a worker's clock jumps by up to a day, and back", (2.0, 8.0), _workers, track="side", needs="workers")
async def clock_jump(place: Place, one: Planned) -> Begun:
    """To either side."""
    child = place.children[one.target]
    child.order(f"clock {(one.value - 0.5) * 2 * 86_400:.0f}")
    yield Hurt()
    child.order("clock 0")


@fault(
    "SIGKILL of PostgreSQL, which is started again with its data",
    (0.2, 3.0),
    track="side",
    probed_by="sink",
    needs="postgres",
)
async def postgres_restart(place: Place, _: Planned) -> Begun:
    """Kill; start again at the same address."""
    if place.postgres is None:
        raise MillraceError("there is no PostgreSQL in this layout")
    await asyncio.to_thread(place.postgres.kill)
    yield Hurt()
    await asyncio.to_thread(place.postgres.start)


@fault("the artifact store refuses everything", (1.0, 6.0), track="side", probed_by="sink", needs="postgres")
async def artifacts_refused(place: Place, _: Planned) -> Begun:
    """A file stands where its folder was; also root cannot write there."""
    away = place.artifacts.with_name("artifacts.away")
    place.artifacts.rename(away)
    place.artifacts.touch()
    yield Hurt()
    place.artifacts.unlink()
    away.rename(place.artifacts)


@fault("the OTLP endpoint is dead", (2.0, 8.0), track="side")
async def otlp_dead(place: Place, _: Planned) -> Begun:
    """Nobody listens there."""
    await place.otlp.close()
    yield Hurt()
    await place.otlp.open()
