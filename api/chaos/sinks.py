"""Holds what the jobs did outside of the log against what the log says: effects, results, history, outcomes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson
from sqlalchemy import text

from api.chaos.flow import SINK, ChaosSpec, expected_of
from api.chaos.history import History, entries
from api.chaos.told import Finding
from consumers.store import Store

if TYPE_CHECKING:
    from api.chaos.place import Place
    from streams.record import JobRecord

_EFFECTS: Final = text(f"SELECT key, runs FROM {SINK}")  # noqa: S608 - a name of ours
_JOBS: Final = text("SELECT job_id, status, revision FROM jobs")
_RESULTS: Final = text("SELECT job_id, revision, payload FROM results")


@dataclass(slots=True)
class Sinks:
    """What was found.

    Attributes:
        effects: Rows of the sink: one for each task that had an effect.
        repeated: Effects that were asked for more than once, which the key made one.
        repeats: How often, beyond the first time.
        outcomes: Events on the outcomes stream; `outcome_repeats` more than one for an ending.
    """

    effects: int = 0
    repeated: int = 0
    repeats: int = 0
    outcomes: int = 0
    outcome_repeats: int = 0
    findings: list[Finding] = field(default_factory=list)


async def examine_sinks(place: Place, history: History) -> Sinks:
    """Compare; the history's findings stay as they are."""
    found = Sinks()
    await _outcomes(place, history, found)
    if place.postgres is not None:
        async with Store.connect(place.postgres.url) as store:
            await _effects(store, history, found)
            await _results(store, history, found)
            await _projected(store, history, found)
    return found


async def _effects(store: Store, history: History, found: Sinks) -> None:
    async with store.database.begin() as session:
        runs = {str(key): int(count) for key, count in await session.execute(_EFFECTS)}
    wanted = {
        f"{job_id}/{task}"
        for job_id, record in history.records.items() if _spec(record).sink
        for task, told in history.told[job_id].tasks.items() if told.stage == "extract" and told.state == "done"
    }  # fmt: skip
    found.effects = len(runs)
    found.repeated = sum(count > 1 for count in runs.values())
    found.repeats = sum(count - 1 for count in runs.values())
    found.findings += [Finding("lost", f"{key} was completed and had no effect") for key in wanted - set(runs)]
    found.findings += [
        Finding("effects", f"{key} had an effect and was not completed") for key in set(runs) - wanted
    ]  # fmt: skip


async def _results(store: Store, history: History, found: Sinks) -> None:
    """Compile saw every contribution of its revision, no less and no more."""
    async with store.database.begin() as session:
        tallies = {(job, revision): payload["found"] for job, revision, payload in await session.execute(_RESULTS)}
    for job_id, record in history.records.items():
        if record.flow == "chaos" and (spec := _spec(record)).sink and record.fields.get("from_stage") is None:
            for revision in range(1, record.revision + 1):
                wanted = expected_of(spec.shape, revision=revision).done["extract"]
                if (tally := tallies.get((job_id, revision))) != wanted:
                    text_ = f"job {job_id} revision {revision}: compile saw {tally} of {wanted} contributions"
                    found.findings.append(Finding("lost" if tally is None else "join", text_))


async def _projected(store: Store, history: History, found: Sinks) -> None:
    """History in PostgreSQL says of every job what its record says."""
    async with store.database.begin() as session:
        kept = {job: (status, revision) for job, status, revision in await session.execute(_JOBS)}
    for job_id, record in history.records.items():
        if (row := kept.get(job_id)) != (record.fields["status"], record.revision):
            text_ = f"job {job_id}: history has {row}, the record {record.fields['status']}, {record.revision}"
            found.findings.append(Finding("lost" if row is None else "join", text_))


async def _outcomes(place: Place, history: History, found: Sinks) -> None:
    told: Counter[tuple[str, int]] = Counter()
    async for _, raw in entries(place.client, place.keys.outcomes):
        data = orjson.loads(raw[b"data"])
        told[data["job_id"], data["revision"]] += 1
    found.outcomes = sum(told.values())
    found.outcome_repeats = sum(count - 1 for count in told.values())
    for job_id, record in history.records.items():
        for revision in range(1, record.revision + 1):
            if not told[job_id, revision]:
                text_ = f"job {job_id} revision {revision} has no event on the outcomes stream"
                found.findings.append(Finding("lost", text_))


def _spec(record: JobRecord) -> ChaosSpec:
    if "from_stage" in record.fields or "spec" not in record.fields:
        return ChaosSpec()
    return ChaosSpec.model_validate_json(record.fields["spec"])
