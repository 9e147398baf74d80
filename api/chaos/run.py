"""A chaos run: load, faults as planned, an end in peace, and the checks."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from api.chaos.faults import FAULTS, Planned
from api.chaos.history import History, examine, left_over
from api.chaos.load import Ledger, Load
from api.chaos.place import Layout, Place, opened
from api.chaos.plan import plan
from api.chaos.recovery import Struck, TakenOver, probe
from api.chaos.sinks import Sinks, examine_sinks
from api.chaos.told import Finding, Row
from schemas.names import LANES, POOLS, STAGES
from streams.connect import AWAY

logger = logging.getLogger(__name__)

SETTLE_S: Final = 90.0
"""How long the number of open entries may stand still once the faults are over, before what is left counts as lost."""
QUIET_LOOKS: Final = 3
POLL_S: Final = 0.2
REVIVE_S: Final = 1.0
STORIES: Final = 10
STORY_ENTRIES: Final = 200_000
"""Looked through for one of them."""
_JOB: Final = re.compile(r"\b\d+-(?:[0-9a-f]{20}|probe\.[0-9a-f]{12})\b")
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Drill:
    """What is to be done.

    Attributes:
        seed: Of the faults and of the load.
        seconds: Of load and faults; what follows is not counted.
        jobs_per_s: Submitted, as long as answers come.
        most_jobs: After which nothing more is submitted; 0: no end.
        kinds: Only these faults; all when empty, none when ``("none",)``.
    """

    seed: int
    seconds: float
    jobs_per_s: float = 70.0
    layout: Layout = field(default_factory=Layout)
    most_jobs: int = 0
    kinds: tuple[str, ...] = ()

    @property
    def plan(self) -> tuple[Planned, ...]:
        """Its faults."""
        return plan(self.seed, self.seconds, self.layout, self.kinds)


@dataclass(slots=True)
class Happened:
    """What happened, and what was found.

    Attributes:
        struck: The faults.
        ledger: What was accepted.
        took_s: From the first submission to the end of the last job.
        settled_s: Of that, after load and faults had ended.
        crashes: What services of workers crashed of, which no fault should make them.
        stories: Lifecycle of some of the jobs that something was found about.
    """

    drill: Drill
    struck: list[Struck]
    ledger: Ledger
    history: History
    sinks: Sinks
    took_s: float
    settled_s: float
    crashes: Counter[str] = field(default_factory=Counter)
    stories: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        """Everything that does not fit."""
        return [*self.history.findings, *self.sinks.findings]


async def run(drill: Drill, told: Told = lambda _: None, logs: Path | None = None) -> Happened:
    """Do a drill; see `Drill`.

    Args:
        told: Is told what happens, a line at a time.
        logs: Folder that gets the logs of all processes when something is found.

    Raises:
        MillraceError: Something could not be started.
    """
    told("starting servers and workers")
    async with opened(drill.layout) as place:
        began = time.monotonic()
        load = Load(place, drill.seed, drill.jobs_per_s, most=drill.most_jobs)
        loading, reviving = asyncio.create_task(load.run()), asyncio.create_task(_revive(place, told))
        struck: list[Struck] = []
        probes: list[str] = []
        try:
            tracks = [
                [one for one in drill.plan if FAULTS[one.kind].track == track] for track in ("hard", "side")
            ]  # fmt: skip
            striking = [asyncio.create_task(_strike(place, track, began, struck, probes, told)) for track in tracks]
            await _until_over(loading, striking, began + drill.seconds)
            load.stop()
            await loading
            quiet_s = time.monotonic()
            told("faults and load are over; waiting for every job to end")
            await _settle(place, told)
        finally:
            reviving.cancel()
            load.stop()
            await load.close()
        took_s, settled_s = time.monotonic() - began, time.monotonic() - quiet_s
        told("checking the history")
        history, sinks = await _examine(place, load.ledger, struck, probes)
        happened = Happened(
            drill, struck, load.ledger, history, sinks, took_s, settled_s, await asyncio.to_thread(place.crashes)
        )  # fmt: skip
        await _tell_stories(place, happened)
        if happened.findings and logs is not None:
            await asyncio.to_thread(_keep_logs, place, logs)
        return happened


async def _until_over(loading: asyncio.Task[None], striking: list[asyncio.Task[None]], until_s: float) -> None:
    """Return when the faults are over and the time is, or all was submitted; raise what one of them raised."""
    waiting = asyncio.create_task(asyncio.sleep(max(0.0, until_s - time.monotonic())))
    waits: set[asyncio.Task[None]] = {waiting, *striking}
    while waits:
        done, waits = await asyncio.wait({*waits, loading}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        waits.discard(loading)
        if loading.done():
            waiting.cancel()
            waits.discard(waiting)
            if waits:
                await asyncio.wait(waits)
            return


async def _strike(
    place: Place, planned: Sequence[Planned], began: float, struck: list[Struck], probes: list[str], told: Told
) -> None:
    """Let the faults of one track happen, each at its time or as soon after it as the one before has ended."""
    probing: set[asyncio.Task[None]] = set()
    for one in planned:
        await asyncio.sleep(max(0.0, one.at_s - (time.monotonic() - began)))
        happens = Struck(one, began_s=time.monotonic() - began)
        struck.append(happens)
        try:
            await _happen(place, happens, began, told)
        except Exception as error:  # one fault that cannot happen is told, and does not end the run
            logger.exception("%s could not happen", one.kind)
            happens.error = f"{type(error).__name__}: {error}"
            told(f"{one.kind} {one.target}: {happens.error}")
            continue
        if not happens.held:
            happens.is_probed = True
            probing.add(asyncio.create_task(probe(place, happens, probes)))
    if probing:
        await asyncio.wait(probing)


async def _happen(place: Place, struck: Struck, began: float, told: Told) -> None:
    one = struck.planned
    told(f"{one.at_s:7.1f} s  {one.kind} {one.target} for {one.lasts_s:.1f} s")
    async with FAULTS[one.kind].run(place, one) as hurt:
        if hurt.consumer:
            struck.began_ms = await place.now_ms()
            struck.held = await place.held_by(hurt.consumer)
        left_s = one.lasts_s - (time.monotonic() - began - struck.began_s)
        await asyncio.sleep(max(0.0, left_s))
    struck.ended_s = time.monotonic() - began


async def _revive(place: Place, told: Told) -> None:
    while True:
        for name in place.revive():
            told(f"{name} ended by itself and is started again")
        await asyncio.sleep(REVIVE_S)


async def _settle(place: Place, told: Told) -> None:
    """Wait until nothing is open any more; what still is then, the checks will find."""
    deadline, quiet, said, fewest = time.monotonic() + SETTLE_S, 0, 0.0, float("inf")
    while time.monotonic() < deadline:
        try:
            left = await _left(place)
        except (*AWAY, RedisError) as error:
            logger.warning("cannot look: %s", error)
            left = -1
        quiet = quiet + 1 if left == 0 else 0
        if 0 <= left < fewest:  # a slow machine has a backlog to work off, which is not lost
            fewest, deadline = left, time.monotonic() + SETTLE_S
        if quiet >= QUIET_LOOKS:
            return
        if time.monotonic() - said > 5:  # noqa: PLR2004 - seconds between two lines
            said = time.monotonic()
            told(f"{left} entries are still open")
        await asyncio.sleep(POLL_S)


async def _left(place: Place) -> int:
    """Entries in streams, timers and ingest, and lifecycle that history has not taken."""
    pipe = place.client.pipeline(transaction=False)
    for keys in place.keys.all_partitions:
        pipe.hlen(keys.waiting)
        for stage in STAGES:
            for pool in POOLS:
                for lane in LANES:
                    pipe.xlen(keys.stream(stage, pool, lane))
    pipe.xlen(place.keys.events)
    left = sum(await pipe.execute())
    if left or place.postgres is None:
        return int(left)
    for keys in place.keys.all_partitions:
        for group in await place.client.xinfo_groups(keys.lifecycle):
            if group["name"] == b"history":
                left += group["pending"] + (group["lag"] or 0)
    return int(left)


async def _examine(place: Place, ledger: Ledger, struck: list[Struck], probes: list[str]) -> tuple[History, Sinks]:
    taken_over = TakenOver(struck)
    accepted = ledger.accepted | set(probes)
    history = await examine(
        place.client, place.keys, accepted, expected=ledger.expected, listeners=[taken_over.hear]
    )  # fmt: skip
    history.findings += await left_over(place.client, place.keys)
    for one, (job, task) in taken_over.never:
        one.recovered_s = None
        text = f"{one.planned.kind} {one.planned.target}: nothing was heard of task {job}/{task} any more"
        history.findings.append(Finding("lost", text))
    return history, await examine_sinks(place, history)


async def _tell_stories(place: Place, happened: Happened) -> None:
    """What happened to the first jobs that something was found about."""
    named = [match[0] for one in happened.findings if (match := _JOB.search(one.text))]
    for job_id in list(dict.fromkeys(named))[:STORIES]:
        rows = await place.log.lifecycle(job_id, limit=STORY_ENTRIES)
        happened.stories[job_id] = [{"id": entry_id, **row} for entry_id, row in rows]


def _keep_logs(place: Place, logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    for log in place.home.glob("*.log"):
        shutil.copy(log, logs)
