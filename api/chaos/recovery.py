"""How long it took until all was well after a fault."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from redis.exceptions import RedisError

from api.chaos.faults import FAULTS, Planned
from api.chaos.flow import FLOWS, NAME
from api.chaos.place import Place
from api.chaos.told import Row
from consumers.submit import submit
from schemas.jobs import JobRequest
from streams.connect import AWAY

PROBE_WITHIN_S: Final = 60.0
POLL_S: Final = 0.02


@dataclass(slots=True)
class Struck:
    """A fault that happened.

    Attributes:
        began_ms: By the clock of Redis, from which the taking over is counted.
        began_s, ended_s: Seconds from the beginning of the run.
        held: (job, task) that its victim held, and that others must take over.
        recovered_s: Until all was well; None: nothing was held, or it never was.
        error: Why it could not be done.
    """

    planned: Planned
    began_s: float
    began_ms: int = 0
    ended_s: float = 0.0
    held: set[tuple[str, str]] = field(default_factory=set)
    recovered_s: float | None = None
    is_probed: bool = False
    error: str = ""


class TakenOver:
    """Hears lifecycle, and notes when what a victim held was taken over by others."""

    def __init__(self, struck: list[Struck]) -> None:
        self._waiting: dict[tuple[str, str], list[Struck]] = {}
        for one in struck:
            for place in one.held:
                self._waiting.setdefault(place, []).append(one)

    def hear(self, at_ms: int, row: Row) -> None:
        """One entry."""
        waiting = self._waiting.get((row.get("job", ""), row.get("task", "")))
        if not waiting:
            return
        for one in [one for one in waiting if at_ms >= one.began_ms]:
            one.recovered_s = max(one.recovered_s or 0.0, (at_ms - one.began_ms) / 1_000)
            waiting.remove(one)

    @property
    def never(self) -> list[tuple[Struck, tuple[str, str]]]:
        """What nothing was heard of any more."""
        return [(one, place) for place, waiting in self._waiting.items() for one in waiting]


async def probe(place: Place, struck: Struck, probes: list[str]) -> None:
    """Submit a job and wait for its end; how long that takes is how long the recovery took.

    It passes all six stages; for faults of PostgreSQL and of the artifact store it writes there.
    """
    kind = FAULTS[struck.planned.kind].probed_by
    spec: dict[str, Any] = {"shape": "chain", "sink": kind == "sink" and place.layout.postgres}
    job_id = f"0-probe.{uuid.uuid4().hex[:12]}"
    request = JobRequest(flow=NAME, spec=spec, job_id=job_id)
    began = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(PROBE_WITHIN_S):
            await (_by_api(place, request) if kind == "api" else _by_log(place, request))
            probes.append(job_id)
            while not await _has_ended(place, job_id):  # noqa: ASYNC110 - it ends in other processes
                await asyncio.sleep(POLL_S)
            struck.recovered_s = time.monotonic() - began


async def _has_ended(place: Place, job_id: str) -> bool:
    with suppress(*AWAY, RedisError):
        record = await place.log.job(job_id)
        return record is not None and "finished_at" in record.fields
    return False


async def _by_log(place: Place, request: JobRequest) -> None:
    while True:
        try:
            await submit(place.log, FLOWS, request)
        except (*AWAY, RedisError):
            await asyncio.sleep(POLL_S)
        else:
            return


async def _by_api(place: Place, request: JobRequest) -> None:
    body = request.model_dump(mode="json", exclude_defaults=True)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(f"{place.api_url}/api/v1/jobs", json=body) as response:
                    if response.status == 202:  # noqa: PLR2004 - HTTP Accepted
                        return
            await asyncio.sleep(POLL_S)
