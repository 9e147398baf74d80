"""What one node, 16 partitions and a Cluster carry, calculated from what was measured. Pure.

A Redis server executes scripts on one thread: with `s` us of it a transition it carries ``1e6 / s``. A worker has one
core: with `w` us of it a transition it carries ``1e6 / w``. So

    carried = HEADROOM x min(1e6 / s x share, cores / w x 1e6)

where `share` is 1 for one server; of `m` masters that share `p` partitions the busiest has ``ceil(p / m)`` of them, so
``share = p / ceil(p / m)``. The cores that workers need to keep up with the servers are ``carried x w / 1e6``.

The thread of the server also reads and writes sockets and the append-only file: `s` is its whole CPU time, not that of
the scripts. `HEADROOM` is what is left for bursts, rewrites of that file and those who look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

HEADROOM: Final = 0.7
"""The share of the calculated that is promised."""
PARTITIONS: Final = 16
GIB: Final = 1 << 30
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Measured:
    """What is put in, per transition.

    Attributes:
        server_us, worker_us: CPU time with one partition.
        server_us_many, worker_us_many: With 16.
        bytes_per_job: Of Redis memory, while it waits.
        bytes_per_entry: Of lifecycle.
    """

    server_us: float
    worker_us: float
    server_us_many: float
    worker_us_many: float
    bytes_per_job: float
    bytes_per_entry: float


@dataclass(frozen=True, slots=True)
class Carried:
    """One row.

    Attributes:
        transitions_per_s: Promised.
        limited_by: ``workers`` or ``server``.
        worker_cores: That keep up with it.
    """

    name: str
    transitions_per_s: int
    limited_by: str
    worker_cores: float


def carried(
    name: str, server_us: float, worker_us: float, *, cores: float = math.inf, masters: int = 1, partitions: int = 1
) -> Carried:
    """What servers and workers carry.

    Args:
        cores: For workers; without a bound, the servers' limit is what counts.
        masters: Servers with a part of the partitions each.
        partitions: Spread over them.

    Raises:
        ValueError: A cost is not above 0, or there is no core, master or partition.
    """
    if min(server_us, worker_us) <= 0 or min(cores, masters, partitions) < 1:
        raise ValueError("costs, cores, masters and partitions are above 0")
    of_servers = 1e6 / server_us * partitions / math.ceil(partitions / masters)
    of_workers = cores / worker_us * 1e6
    least = HEADROOM * min(of_servers, of_workers)
    return Carried(
        name, round(least), "workers" if of_workers < of_servers else "server", round(least * worker_us / 1e6, 1)
    )


def capacity(measured: Measured, cores: int) -> list[Carried]:
    """The rows of the table.

    Args:
        cores: Of the machine that it was measured on.
    """
    one, many = (measured.server_us, measured.worker_us), (measured.server_us_many, measured.worker_us_many)
    return [
        carried(f"this machine ({cores} cores), server and workers on it", *one, cores=max(1, cores - 1)),
        carried("one server, 1 partition, as many worker cores as it takes", *one),
        carried(f"one server, {PARTITIONS} partitions", *many),
        *(
            carried(
                f"Cluster of {masters} masters, {PARTITIONS} partitions", *many, masters=masters, partitions=PARTITIONS
            )
            for masters in (3, 4, 8)
        ),
    ]  # fmt: skip


def figures(found: Mapping[str, Any], cores: int) -> dict[str, Any]:
    """The table and what fits into memory, from a benchmark's figures."""
    many = found["with_partitions"]
    measured = Measured(
        found["server_cpu_us_per_transition"], found["cpu_us_per_transition"], many["server_cpu_us_per_transition"],
        many["cpu_us_per_transition"], found["redis_bytes_per_job"], found["lifecycle_bytes_per_entry"],
    )  # fmt: skip
    rows = capacity(measured, cores)
    return {
        "capacity": {
            "measured": asdict(measured), "headroom": HEADROOM, "rows": [asdict(row) for row in rows],
            "queued_jobs_per_gib": round(GIB / measured.bytes_per_job),
            "lifecycle_entries_per_gib": round(GIB / measured.bytes_per_entry),
        }
    }  # fmt: skip
