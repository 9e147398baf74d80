"""Metrics in the Prometheus text format: base units, and no job, tenant or URL as a label.

What workers count is added up in Redis (`streams.meter`), the rest is read when asked: so every API shows the whole
installation, and one scrape of one of them is enough.

Source: Prometheus, "Exposition formats", text-based format 0.0.4; "Metric and label naming".
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from sqlalchemy import text

from api.fleet import streams
from api.limits import list_limits
from consumers.doctor.worklog import group_facts
from consumers.store.models import Job
from consumers.worker.presence import presence
from schemas.names import POOLS
from streams.errors import TransientError
from streams.findings import Findings
from streams.meter import read
from streams.retention import REQUIRED_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from api.services import Services
    from streams.meter import Histogram

    Labels = Mapping[str, Any]

JOBS_WITHIN_S: Final = 2.0
INGEST: Final = "ingest"
_UNFINISHED: Final = text(
    f"SELECT flow, status, count(*) FROM {Job.__tablename__} WHERE finished_at IS NULL GROUP BY flow, status"  # noqa: S608 - a constant
)


@dataclass(slots=True)
class Family:
    """A metric with its samples."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    about: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, labels: Labels, value: float) -> None:
        """A sample."""
        self.samples.append((self.name, labels, value))

    def observe(self, labels: Labels, histogram: Histogram) -> None:
        """A histogram's samples."""
        total = 0
        for bound, total in histogram.cumulative():
            self.samples.append((f"{self.name}_bucket", {**labels, "le": bound}, total))
        self.samples.append((f"{self.name}_sum", labels, histogram.sum_us / 1e6))
        self.samples.append((f"{self.name}_count", labels, total))

    def text(self) -> str:
        """As Prometheus reads it."""
        lines = [f"# HELP {self.name} {self.about}", f"# TYPE {self.name} {self.kind}"]
        for name, labels, value in self.samples:
            inside = ",".join(f'{label}="{_escaped(str(of))}"' for label, of in labels.items())
            lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
        return "\n".join(lines) + "\n"


async def exposition(services: Services) -> str:
    """All metrics, read when asked."""
    began_s = time.monotonic()
    families = [
        *await _counted(services), *await _of_streams(services), *await _of_partitions(services),
        *await _of_workers(services), *await _of_groups(services), *await _of_limits(services),
        *await _of_redis(services), *await _of_jobs(services), *_of_api(services),
    ]  # fmt: skip
    took = Family("millrace_exposition_duration_seconds", "gauge", "What it took to read all of this.")
    took.add({}, round(time.monotonic() - began_s, 6))
    return "".join(family.text() for family in (*families, took))


async def _counted(services: Services) -> Iterable[Family]:
    settled = Family("millrace_entries_settled_total", "counter", "Entries that left a worker's hand, by how.")
    deliveries = Family("millrace_deliveries_total", "counter", "Handlers started.")
    again = Family("millrace_redeliveries_total", "counter", "Of those, for an entry that another worker had before.")
    retries = Family("millrace_retry_attempts_total", "counter", "Of those, for another attempt than the first.")
    waited = Family("millrace_wait_duration_seconds", "histogram", "From an entry's coming to its handler's start.")
    ran = Family("millrace_run_duration_seconds", "histogram", "From a handler's start to its settlement.")
    for (stage, flow, pool), one in (await read(services.client, services.keys.metrics)).items():
        labels = {"stage": stage, "flow": flow, "pool": pool}
        for outcome, count in sorted(one.outcomes.items()):
            settled.add({**labels, "outcome": outcome}, count)
        deliveries.add(labels, one.deliveries)
        again.add(labels, one.redeliveries)
        retries.add(labels, one.attempts)
        waited.observe(labels, one.waited)
        ran.observe(labels, one.ran)
    return settled, deliveries, again, retries, waited, ran


async def _of_streams(services: Services) -> Iterable[Family]:
    families = (
        (Family("millrace_stream_entries", "gauge", "Entries in a stage's streams."), "length"),
        (Family("millrace_stream_pending_entries", "gauge", "Of those, held by workers."), "pending"),
        (Family("millrace_stream_lag_entries", "gauge", "Of those, given to nobody so far."), "lag"),
        (Family("millrace_stream_oldest_age_seconds", "gauge", "Age of the oldest entry."), "oldest_age_s"),
    )
    crowds: Counter[tuple[str, str, int]] = Counter()
    for row in await streams(services):
        labels = {label: row[label] for label in ("stage", "pool", "lane")}
        for family, name in families:
            family.add(labels, row[name])
        for one in row["partitions"]:
            crowds[row["stage"], row["pool"], one["partition"]] += one["length"]
    fill = Family("millrace_backlog_ratio", "gauge", "Of its MILLRACE_MAX_BACKLOG, what the fullest partition has.")
    if most := services.settings.max_backlog:
        places: dict[tuple[str, str], int] = {}
        for (stage, pool, _), length in crowds.items():
            places[stage, pool] = max(places.get((stage, pool), 0), length)
        for (stage, pool), length in places.items():
            fill.add({"stage": stage, "pool": pool}, round(length / most, 6))
    return [fill, *(family for family, _ in families)]


async def _of_partitions(services: Services) -> Iterable[Family]:
    dead = Family("millrace_dlq_entries", "gauge", "Dead letters.")
    delayed = Family("millrace_timers_entries", "gauge", "Delayed entries.")
    overdue = Family("millrace_timers_overdue_seconds", "gauge", "How late the first of them is.")
    kept = Family("millrace_lifecycle_entries", "gauge", "Lifecycle entries kept.")
    for keys in services.keys.all_partitions:
        pipe = services.client.pipeline(transaction=False)
        pipe.xlen(keys.dlq)
        pipe.zcard(keys.timers)
        pipe.zrange(keys.timers, 0, 0, withscores=True)
        pipe.xlen(keys.lifecycle)
        letters, timers, first, entries = await pipe.execute()
        labels = {"partition": keys.partition}
        dead.add(labels, letters)
        delayed.add(labels, timers)
        overdue.add(labels, round(max(0.0, time.time() - first[0][1] / 1_000), 3) if first else 0)
        kept.add(labels, entries)
    events = Family("millrace_events_entries", "gauge", "Submissions that wait in millrace:events.")
    events.add({}, await services.client.xlen(services.keys.events))
    return dead, delayed, overdue, kept, events


async def _of_workers(services: Services) -> Iterable[Family]:
    fleet = await presence(services.client, services.keys)
    workers = Family("millrace_workers", "gauge", "Worker processes that show presence.")
    serving = Family("millrace_pool_workers", "gauge", "Of those, by the pool they serve.")
    slots = Family("millrace_pool_slots", "gauge", "Entries that they can have in hand.")
    in_hand = Family("millrace_worker_in_hand_entries", "gauge", "Entries in their hands.")
    memory = Family("millrace_worker_resident_memory_bytes", "gauge", "Resident memory of all of them.")
    largest = Family("millrace_worker_resident_memory_max_bytes", "gauge", "Of the largest of them.")
    circuits = Family("millrace_open_circuits", "gauge", "Hosts that workers leave alone, each worker's counted.")
    circuits.add({}, sum(len(one.get("open_hosts", ())) for one in fleet))
    workers.add({}, len(fleet))
    for pool in POOLS:
        serving.add({"pool": pool}, sum(pool in one["pools"] for one in fleet))
        slots.add({"pool": pool}, sum(one["slots"].get(pool, 0) for one in fleet))
    in_hand.add({}, sum(one["in_hand"] for one in fleet))
    memory.add({}, sum(one["rss_bytes"] for one in fleet))
    largest.add({}, max((one["rss_bytes"] for one in fleet), default=0))
    return workers, serving, slots, in_hand, memory, largest, circuits


async def _of_groups(services: Services) -> Iterable[Family]:
    behind = Family("millrace_group_behind_seconds", "gauge", "Age of the oldest entry that a group has not handled.")
    seconds, micros = await services.client.time()
    ages = dict.fromkeys((*REQUIRED_GROUPS, INGEST), 0.0)
    async for one in group_facts(services, int(seconds) * 1_000 + int(micros) // 1_000):
        name = INGEST if one.stream == services.keys.events else one.name
        if name in ages:  # others name themselves: they are the doctor's
            ages[name] = max(ages[name], one.behind_s)
    for name, age_s in ages.items():
        behind.add({"group": name}, age_s)
    return (behind,)


async def _of_limits(services: Services) -> Iterable[Family]:
    waiting = Family("millrace_limit_waiting_entries", "gauge", "Tasks that wait for a limit.")
    running = Family("millrace_limit_running_entries", "gauge", "Tasks that hold a permit of one.")
    for row in await list_limits(services):
        if "waiting" in row:
            waiting.add({"limit": row["name"]}, row["waiting"])
        if "running" in row:
            running.add({"limit": row["name"]}, row["running"])
    return waiting, running


async def _of_redis(services: Services) -> Iterable[Family]:
    info: dict[str, Any] = await services.client.info("memory")
    nodes = list(info.values()) if info and all(isinstance(one, dict) for one in info.values()) else [info]
    used = Family("millrace_redis_memory_used_bytes", "gauge", "Memory that Redis uses, of the fullest node.")
    limit = Family("millrace_redis_memory_limit_bytes", "gauge", "Its maxmemory; 0 for none.")
    fullest = max(nodes, key=lambda one: int(one.get("used_memory", 0)))
    used.add({}, int(fullest.get("used_memory", 0)))
    limit.add({}, int(fullest.get("maxmemory", 0)))
    pressure = Family("millrace_backpressure", "gauge", "1 while nothing new is taken in because Redis is nearly full.")
    pressure.add({}, int(bool(await services.pressure.said())))
    findings = Family("millrace_findings", "gauge", "What went wrong without a job of its own to tell it.")
    findings.add({}, len(await Findings(services.client, services.keys).all()))
    backup = Family("millrace_backup_age_seconds", "gauge", "Since the last `millrace backup`; -1 when there was none.")
    stamp = await services.client.get(services.keys.backup)
    backup.add({}, round(time.time() - float(orjson.loads(stamp)["at"]), 3) if stamp else -1)
    return used, limit, pressure, findings, backup


async def _of_jobs(services: Services) -> Iterable[Family]:
    jobs = Family("millrace_jobs_unfinished", "gauge", "Jobs without an end, by their status in history.")
    up = Family("millrace_database_up", "gauge", "Whether PostgreSQL answers.")
    is_up = 0
    if services.database is not None:
        try:
            async with asyncio.timeout(JOBS_WITHIN_S), services.database.database.begin() as session:
                for flow, status, count in await session.execute(_UNFINISHED):
                    known = flow if flow in services.flows.by_name else "other"
                    jobs.add({"flow": known, "status": status}, count)
            is_up = 1
        except (TransientError, TimeoutError):
            is_up = 0
    up.add({}, is_up)
    return jobs, up


def _of_api(services: Services) -> Iterable[Family]:
    followers = Family("millrace_api_followers", "gauge", "Clients that follow a job at this API.")
    slow = Family("millrace_api_slow_clients_total", "counter", "Followers that it dropped as too slow.")
    followers.add({}, services.hub.waiters)
    slow.add({}, services.hub.slow_clients)
    return followers, slow


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
