"""What the doctor can mend by itself, and does when it is asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from consumers.doctor import kept, worklog
from consumers.doctor.finding import Repair
from consumers.worker.disown import disown
from consumers.worker.presence import presence
from streams.doctor import mend, survey
from streams.findings import Findings
from streams.reader import GROUP

if TYPE_CHECKING:
    from consumers.doctor.examine import Patient


@dataclass(frozen=True, slots=True)
class Repaired:
    """One thing that was repaired, or would be.

    Attributes:
        what: To what: a job, a consumer, a stream.
        did: In words; empty when the thing was in order by the time of its repair.
    """

    repair: Repair
    what: str
    did: str


async def repair(patient: Patient, *, dry_run: bool = False, forget: bool = True) -> list[Repaired]:
    """Repair what can be repaired without a person; safe to call at any time, and beside running workers.

    Args:
        patient: What is repaired.
        dry_run: Change nothing, tell what would be done.
        forget: Whether findings that were noted for people are dropped; not where no person has seen them.
    """
    done = await _released(patient, dry_run=dry_run)
    done += await _groups(patient, dry_run=dry_run)
    found = (await survey(patient.client, patient.keys)).suspects
    known = [one for one in found if one.kind in worklog.WHAT]
    if dry_run:
        done += [Repaired("log", one.job, f"would mend: {worklog.WHAT[one.kind][1]}") for one in known]
    else:
        mended = await mend(patient.log, patient.blobs.chunks, known)
        # Counters follow from what was mended first; and a job without tasks shows only then.
        again = (await survey(patient.client, patient.keys)).suspects if mended else ()
        mended += await mend(patient.log, patient.blobs.chunks, [one for one in again if one.kind in worklog.WHAT])
        done += [Repaired("log", one.suspect.job, one.did) for one in mended if one.did]
    done += await _history(patient, dry_run=dry_run)
    return [*done, *await _told(patient, dry_run=dry_run)] if forget else done


async def _released(patient: Patient, *, dry_run: bool) -> list[Repaired]:
    alive = [one["name"] for one in await presence(patient.client, patient.keys)]
    facts = [one async for one in worklog.stream_facts(patient, alive)]
    limit_ms = worklog.LEASES * patient.settings.lease_ms
    dead = sorted({name for one in facts for name, idle_ms in one.idle_ms.items() if idle_ms > limit_ms})
    done: list[Repaired] = []
    for consumer in dead:
        if dry_run:
            done.append(Repaired("released", consumer, "would give back what it holds"))
        else:
            freed = await disown(patient.client, patient.settings, patient.flows, consumer)
            done.append(Repaired("released", consumer, f"{freed} entries are given back"))
    return done


async def _groups(patient: Patient, *, dry_run: bool) -> list[Repaired]:
    done: list[Repaired] = []
    async for one in worklog.stream_facts(patient, ()):
        if one.has_group:
            continue
        if not dry_run:
            try:
                await patient.client.xgroup_create(one.key, GROUP, id="0")
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        done.append(Repaired("groups", one.key, "would make its group" if dry_run else "its group is made"))
    return done


async def _history(patient: Patient, *, dry_run: bool) -> list[Repaired]:
    """Tell lifecycle that these jobs ended: history follows it."""
    done: list[Repaired] = []
    for row in await kept.lost_jobs(patient):
        if dry_run:
            done.append(Repaired("history", row["job_id"], "would mark it failed"))
            continue
        lifecycle = patient.keys.of_job(row["job_id"]).lifecycle
        told = {
            "type": "failed", "job": row["job_id"], "flow": row["flow"], "tenant": row["tenant"],
            "revision": row["revision"], "status": "failed",
            "reason": "its record is not in the log: lost with a server, or restored from an older backup",
        }  # fmt: skip
        await patient.client.xadd(lifecycle, told)
        done.append(Repaired("history", row["job_id"], "it is marked failed"))
    return done


async def _told(patient: Patient, *, dry_run: bool) -> list[Repaired]:
    findings = Findings(patient.client, patient.keys)
    told = await findings.all()
    if not dry_run:
        for one in told:
            await findings.drop(one.kind, one.subject)
    did = "would forget that it was told" if dry_run else "it was told, and is forgotten"
    return [Repaired("told", f"{one.kind} {one.subject}", did) for one in told]


__all__ = ["Repaired", "repair"]
