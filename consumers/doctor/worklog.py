"""The log and who works on it: do entries, jobs and counters fit, and is everything read by someone?"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from consumers.doctor.finding import Finding
from schemas.names import LANES, POOLS, STAGES
from streams.findings import Finding as Told
from streams.keys import PartitionKeys
from streams.moves import RELEASED
from streams.pressure import LANE_SHARES
from streams.reader import GROUP
from streams.retention import REQUIRED_GROUPS

if TYPE_CHECKING:
    from consumers.doctor.examine import Patient
    from streams.doctor import Survey, Suspect

BEHIND_NOTE_S: Final = 60.0
BEHIND_BAD_S: Final = 900.0
LEASES: Final = 4
"""A dead consumer's entries are reclaimed within two leases; twice that says that nobody sweeps."""
NAMED: Final = 3
"""Jobs or entries that a finding names."""
WHAT: Final[Mapping[str, tuple[str, str]]] = {
    "no_job": ("orphan entries", "entries name a job that is not there"),
    "not_issued": ("orphan entries", "entries are not those that their jobs know"),
    "letter_without_task": ("dead letters", "letters are not known to their jobs, and cannot be redriven"),
    "no_entry": ("jobs", "open tasks have no entry: their jobs would never end"),
    "no_timer": ("jobs", "delayed tasks have no timer: their jobs would never end"),
    "no_letter": ("jobs", "dead tasks have no dead letter"),
    "counters": ("counters", "jobs count other than what their tasks and streams have"),
    "nothing_left": ("jobs", "jobs go on with nothing left to do"),
}
"""Kind of a suspect -> what it is of, and what it is."""


def judge_survey(survey: Survey) -> list[Finding]:
    """What does not fit in the log, kind by kind."""
    told = f"{survey.entries:,} entries, {survey.jobs:,} jobs and {survey.letters:,} dead letters were looked through"
    kinds: dict[str, list[Suspect]] = {}
    for one in survey.suspects:
        kinds.setdefault(one.kind, []).append(one)
    findings = [
        Finding(
            WHAT[kind][0], "bad", f"{len(found):,} {WHAT[kind][1]}: {_named(found)}",
            "`./millrace doctor --fix` repairs it", "log",
        )
        for kind, found in kinds.items() if kind in WHAT
    ]  # fmt: skip
    if wide := kinds.get("wide"):
        findings.append(Finding("jobs", "note", f"{len(wide)} are too large to be looked through: {_named(wide)}"))
    if survey.is_cut:
        findings.append(Finding("log", "note", "there is more; it is found when this is repaired"))
    if not findings:
        findings.append(Finding("log", "ok", f"{told}: all of it fits"))
    return findings


def _named(found: Sequence[Suspect]) -> str:
    names = [f"{one.job}{f' #{one.task}' if one.task else ''}{f' ({one.told})' if one.told else ''}" for one in found]
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A stage stream: who holds what of it.

    Attributes:
        held: Consumer -> entries in its hands.
        idle_ms: Consumer -> how long its oldest entry was not renewed.
    """

    key: str
    pool: str
    waiting: int
    held: Mapping[str, int]
    idle_ms: Mapping[str, int]
    has_group: bool


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group over a stream that is not a stage's.

    Attributes:
        behind_s: Age of the oldest entry it has not handled; 0 for none.
    """

    stream: str
    name: str
    behind_s: float


async def stream_facts(patient: Patient, alive: Iterable[str]) -> AsyncIterator[StreamFacts]:
    """Every stage stream that exists; of consumers that are not alive also since when they did not renew."""
    living = {*alive, RELEASED}
    for keys in patient.keys.all_partitions:
        for stage in STAGES:
            for pool in POOLS:
                names = [keys.stream(stage, pool, lane) for lane in LANES]
                pipe = patient.client.pipeline(transaction=False)
                for name in names:
                    pipe.xlen(name)
                    pipe.xpending(name, GROUP)
                answers = await pipe.execute(raise_on_error=False)
                for at, name in enumerate(names):
                    length, pending = answers[2 * at : 2 * at + 2]
                    if not isinstance(pending, dict):
                        if isinstance(length, int) and length:
                            yield StreamFacts(name, pool, length, {}, {}, has_group=False)
                        continue
                    held = {one["name"].decode(): int(one["pending"]) for one in pending["consumers"]}
                    idle = {one: await _idle_ms(patient.client, name, one) for one in held if one not in living}
                    yield StreamFacts(name, pool, int(length) - int(pending["pending"]), held, idle, has_group=True)


async def _idle_ms(client: Any, stream: str, consumer: str) -> int:
    rows = await client.xpending_range(stream, GROUP, "-", "+", 1, consumer)
    return int(rows[0]["time_since_delivered"]) if rows else 0


def judge_streams(facts: Sequence[StreamFacts], lease_ms: int) -> list[Finding]:
    """Entries in dead hands, and streams that nobody can read."""
    findings: list[Finding] = []
    dead: Counter[str] = Counter()
    for one in facts:
        for consumer, idle_ms in one.idle_ms.items():
            if idle_ms > LEASES * lease_ms:
                dead[consumer] += one.held[consumer]
    if dead:
        names = ", ".join(sorted(dead)[:NAMED])
        findings.append(
            Finding(
                "pending", "bad",
                f"{dead.total()} entries are held by {len(dead)} consumers that are gone ({names}): nobody reclaims",
                "Start a worker of their pools; `./millrace doctor --fix` gives them back now", "released",
            )
        )  # fmt: skip
    without = [one.key for one in facts if not one.has_group]
    if without:
        findings.append(
            Finding(
                "groups", "note", f"{len(without)} streams with entries have no consumer group: {without[0]}",
                "A worker of their pool makes it; `./millrace doctor --fix` does too", "groups",
            )
        )  # fmt: skip
    if not findings:
        held = sum(sum(one.held.values()) for one in facts)
        findings.append(Finding("pending", "ok", f"{held} entries are in the hands of workers, none of a dead one"))
    return findings


def judge_workers(
    workers: Sequence[Mapping[str, Any]], facts: Sequence[StreamFacts], now_s: float
) -> list[Finding]:  # fmt: skip
    """Who is there, and which pool has work and nobody."""
    if not workers:
        waiting = sum(one.waiting for one in facts)
        return [
            Finding(
                "workers", "bad" if waiting else "note", f"none is running; {waiting} entries wait",
                "Start `./millrace up` or `./millrace worker`",
            )
        ]  # fmt: skip
    in_hand = sum(int(one["in_hand"]) for one in workers)
    findings = [Finding("workers", "ok", f"{len(workers)} running, {in_hand} entries in hand")]
    findings += [judge_worker_clock(one["name"], float(one["seen_at"]) - now_s) for one in workers]
    served = {pool for one in workers for pool in one["pools"]}
    findings += [
        Finding(f"pool {pool}", "bad", "it has work and no worker", f"Start `./millrace worker --pools {pool}`")
        for pool in sorted({one.pool for one in facts if one.waiting} - served)
    ]
    return [one for one in findings if one.what == "workers" or one.state != "ok"]


def judge_pressure(said: str, facts: Sequence[StreamFacts], max_backlog: int) -> list[Finding]:
    """Whether new jobs are refused, by memory or by the backlog of a stage."""
    findings = []
    if said:
        cure = "Raise maxmemory, or find what fills it: `./millrace streams`, `./millrace dlq list`"
        findings.append(Finding("back-pressure", "bad", f"new jobs are refused: {said}", cure))
    crowds: Counter[str] = Counter()
    for one in facts:
        crowds[one.key.removesuffix(":high").removesuffix(":low")] += one.waiting + sum(one.held.values())
    for key, length in crowds.items():
        if max_backlog and length >= max_backlog * LANE_SHARES["low"]:
            told = f"{key} has {length:,} entries of {max_backlog:,}: jobs that begin there are refused, low ones first"
            findings.append(Finding("backlog", "bad", told, "Start workers, or raise MILLRACE_MAX_BACKLOG"))
    return findings


def judge_worker_clock(name: str, ahead_s: float) -> Finding:
    """A worker shows its presence every 2 s: one that is from the future, or long past, has another clock."""
    if -15.0 < ahead_s < 2.0:  # noqa: PLR2004 - presence lives 15 s; 2 s is what a slow answer may make of it
        return Finding(f"clock of {name}", "ok", "as the server's")
    told = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} Redis's"
    return Finding(f"clock of {name}", "bad", told, "Run an NTP client on its machine")


async def group_facts(patient: Patient, now_ms: int) -> AsyncIterator[GroupFacts]:
    """The groups over lifecycle and over ingest."""
    streams = [patient.keys.events, *(keys.lifecycle for keys in patient.keys.all_partitions)]
    for stream in streams:
        try:
            groups = await patient.client.xinfo_groups(stream)
        except ResponseError:
            continue  # no such stream so far
        for group in groups:
            name = group["name"].decode()
            pending = await patient.client.xpending(stream, name)
            first = pending["min"]
            if first is None:
                rows = await patient.client.xrange(stream, "(" + group["last-delivered-id"].decode(), count=1)
                first = rows[0][0] if rows else None
            behind_s = (now_ms - int(first.partition(b"-")[0])) / 1_000 if first is not None else 0.0
            yield GroupFacts(stream, name, max(0.0, behind_s))


def judge_groups(facts: Sequence[GroupFacts], lifecycle: Sequence[PartitionKeys]) -> list[Finding]:
    """Groups that fell behind: lifecycle is not trimmed beyond the required ones, and ingest keeps others waiting."""
    findings: list[Finding] = []
    own = {keys.lifecycle for keys in lifecycle}
    for one in facts:
        if one.behind_s < BEHIND_NOTE_S:
            continue
        is_ours = one.name in REQUIRED_GROUPS or one.stream not in own
        state = "bad" if is_ours and one.behind_s >= BEHIND_BAD_S else "note"
        cure = "Start a worker: each of them reads it" if is_ours else "Its reader is elsewhere: is it running?"
        told = f"{one.behind_s:,.0f} s behind on {one.stream}"
        findings.append(Finding(f"group {one.name}", "bad" if state == "bad" else "note", told, cure))
    return findings or [Finding("groups", "ok", f"{len(facts)} groups keep up")]


def judge_told(told: Sequence[Told]) -> list[Finding]:
    """What went wrong without a job of its own to tell it."""
    cure = "`./millrace doctor --fix` forgets that it was told"
    return [Finding(one.kind.replace("_", " "), "note", one.said, f"{one.cure}; {cure}", "told") for one in told]
