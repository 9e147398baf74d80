"""The state of streams, workers and stages, as operators ask for it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from consumers.worker.presence import presence
from schemas.names import LANES, STAGES
from streams.keys import StreamName
from streams.policy import RateLimit, StagePolicy
from streams.reader import GROUP

if TYPE_CHECKING:
    from api.services import Services
    from consumers.flow import Flows
    from schemas.names import StageName

CHUNK: Final = 300
"""Commands in one pipeline."""
POOL: Final = "default"
DEFAULT_TENANT: Final = "default"


async def streams(services: Services) -> list[dict[str, Any]]:
    """Each stream that a stage of an installed flow reads, or that has entries."""
    known = _declared(services.flows)
    names = [StreamName(stage, pool, lane) for stage, pool in known for lane in LANES]
    places = [(name, keys) for name in names for keys in services.keys.all_partitions]
    answers: list[Any] = []
    for at in range(0, len(places), CHUNK):
        pipe = services.client.pipeline(transaction=False)
        for name, keys in places[at : at + CHUNK]:
            key = keys.named(str(name))
            pipe.xlen(key)
            pipe.xpending(key, GROUP)
            pipe.xrange(key, count=1)
        answers += await pipe.execute(raise_on_error=False)
    seconds, micros = await services.client.time()
    now_ms = int(seconds) * 1_000 + int(micros) // 1_000
    rows: dict[StreamName, dict[str, Any]] = {}
    for index, (name, keys) in enumerate(places):
        length, pending, oldest = answers[3 * index : 3 * index + 3]
        held = 0 if isinstance(pending, Exception) else int(pending["pending"])  # no group yet: held by nobody
        age_ms = now_ms - int(oldest[0][0].partition(b"-")[0]) if oldest else 0
        counts = {
            "partition": keys.partition, "key": keys.named(str(name)), "length": length, "pending": held,
            "lag": max(0, length - held), "oldest_age_s": max(0, age_ms) / 1_000,
        }  # fmt: skip
        row = rows.setdefault(
            name, {"stream": str(name), "stage": name.stage, "pool": name.pool, "lane": name.lane, "partitions": []}
        )
        row["partitions"].append(counts)
    for row in rows.values():
        for count in ("length", "pending", "lag"):
            row[count] = sum(one[count] for one in row["partitions"])
        row["oldest_age_s"] = max(one["oldest_age_s"] for one in row["partitions"])
    return list(rows.values())


async def workers(services: Services, tenant: str) -> list[dict[str, Any]]:
    """The workers whose presence has not expired; of what they hold only this tenant's."""
    shown = await presence(services.client, services.keys)
    held = sorted({one["job"] for worker in shown for one in worker["holds"]})
    pipe = services.client.pipeline(transaction=False)
    for job in held:
        pipe.hget(services.keys.of_job(job).job(job), "tenant")
    mine = {
        job for job, owner in zip(held, await pipe.execute() if held else (), strict=True) if owner == tenant.encode()
    }
    for worker in shown:
        worker["holds"] = [one for one in worker["holds"] if one["job"] in mine]
        if tenant != DEFAULT_TENANT:  # which hosts are asked is the business of who has them asked
            worker["open_hosts"] = []
    return shown


def stages(flows: Flows) -> list[dict[str, Any]]:
    """The stages of every flow, in the order in which jobs pass them."""
    return [
        {
            "flow": flow.name, "stage": name, "version": flow.by_name[name].version,
            "accepts": flow.by_name[name].accepts.__name__,
            "emits": sorted(flow.by_name[name].emits, key=STAGES.index), "policy": _policy(flow.by_name[name].policy),
        }
        for flow in sorted(flows.by_name.values(), key=lambda one: one.name)
        for name in STAGES
        if name in flow.by_name
    ]  # fmt: skip


def _declared(flows: Flows) -> list[tuple[StageName, str]]:
    """(stage, pool) of the installed flows, and each stage's default pool, where foreign entries may be put."""
    pools = {(name, one.policy.pool) for flow in flows.by_name.values() for name, one in flow.by_name.items()}
    pools |= {(name, POOL) for name in STAGES}
    return sorted(pools, key=lambda one: (STAGES.index(one[0]), one[1]))


def _policy(policy: StagePolicy) -> dict[str, Any]:
    shown: dict[str, Any] = {one.name: getattr(policy, one.name) for one in fields(policy)}
    shown["retry"] = {one.name: getattr(policy.retry, one.name) for one in fields(policy.retry)}
    for name, limits in (("limits", policy.limits), ("reserves", policy.reserves)):
        shown[name] = [
            {"name": one.name, "count": one.count} | ({"per_s": one.per_s} if isinstance(one, RateLimit) else {})
            for one in limits
        ]
    shown["never_retry"] = [error.__name__ for error in policy.never_retry]
    return shown
