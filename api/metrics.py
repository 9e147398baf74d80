"""Metrics in the Prometheus text format; no job, tenant or URL is a label.

Source: Prometheus, "Exposition formats", text-based format 0.0.4.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from api.fleet import streams, workers
from consumers.store.models import Job
from streams.errors import TransientError

if TYPE_CHECKING:
    from api.services import Services

    Samples = list[tuple[dict[str, Any], float]]

JOBS_WITHIN_S: Final = 2.0
_UNFINISHED: Final = text(
    f"SELECT status, count(*) FROM {Job.__tablename__} WHERE finished_at IS NULL GROUP BY status"  # noqa: S608 - a constant
)


async def exposition(services: Services) -> str:
    """All metrics, read when asked."""
    rows = await streams(services)
    fleet = await workers(services, tenant="")
    in_hand = sum(worker["in_hand"] for worker in fleet)
    families: dict[tuple[str, str], Samples] = {
        ("millrace_stream_entries", "Entries in a stage's streams."): _by_stream(rows, "length"),
        ("millrace_stream_pending_entries", "Of those, held by workers."): _by_stream(rows, "pending"),
        ("millrace_stream_lag_entries", "Of those, given to nobody so far."): _by_stream(rows, "lag"),
        ("millrace_stream_oldest_seconds", "Age of the oldest entry."): _by_stream(rows, "oldest_age_s"),
        ("millrace_dlq_entries", "Dead letters."): await _dead(services),
        ("millrace_timers_entries", "Delayed entries."): await _delayed(services),
        ("millrace_lifecycle_entries", "Lifecycle entries kept."): await _kept(services),
        ("millrace_workers", "Workers that show presence."): [({}, len(fleet))],
        ("millrace_worker_in_hand_entries", "Entries in the hands of workers."): [({}, in_hand)],
        ("millrace_worker_settled_entries", "Settled by the workers that are there."): _counts(fleet, "counts"),
        ("millrace_worker_refused_entries", "Settlements refused to them."): _counts(fleet, "refused"),
        ("millrace_api_followers", "Clients that follow a job."): [({}, services.hub.waiters)],
        ("millrace_api_slow_clients_total", "Followers dropped as too slow."): [({}, services.hub.slow_clients)],
        ("millrace_jobs_unfinished", "Jobs without an end, by their status in history."): await _unfinished(services),
    }
    return "".join(_family(name, about, samples) for (name, about), samples in families.items())


def _family(name: str, about: str, samples: Samples) -> str:
    kind = "counter" if name.endswith("_total") else "gauge"
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{label_value}"' for label, label_value in labels.items())
        lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _by_stream(rows: list[dict[str, Any]], field: str) -> Samples:
    return [({label: row[label] for label in ("stage", "pool", "lane")}, row[field]) for row in rows]


async def _dead(services: Services) -> Samples:
    return [({"partition": k.partition}, await services.client.xlen(k.dlq)) for k in services.keys.all_partitions]


async def _delayed(services: Services) -> Samples:
    return [({"partition": k.partition}, await services.client.zcard(k.timers)) for k in services.keys.all_partitions]


async def _kept(services: Services) -> Samples:
    return [({"partition": k.partition}, await services.client.xlen(k.lifecycle)) for k in services.keys.all_partitions]


def _counts(fleet: list[dict[str, Any]], field: str) -> Samples:
    outcomes = sorted({outcome for worker in fleet for outcome in worker[field]})
    return [({"outcome": outcome}, sum(worker[field].get(outcome, 0) for worker in fleet)) for outcome in outcomes]


async def _unfinished(services: Services) -> Samples:
    if services.database is None:
        return []
    try:
        async with asyncio.timeout(JOBS_WITHIN_S), services.database.database.begin() as session:
            return [({"status": status}, count) for status, count in await session.execute(_UNFINISHED)]
    except (TransientError, TimeoutError):
        return []
