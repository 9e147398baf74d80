"""Every key in Redis, and nothing else: ``<namespace>:{p}:...``, one hash tag a partition."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from schemas.names import LANES, STAGES, JobId, Lane, StageName

_JOB_ID: Final = re.compile(r"(0|[1-9][0-9]{0,2})-([A-Za-z0-9][A-Za-z0-9_.-]{0,95})")
_JOB_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")


def partition_of(job_id: str) -> int:
    """The partition that a job id carries.

    Raises:
        ValueError: It is not a job id.
    """
    match = _JOB_ID.fullmatch(job_id)
    if match is None:
        msg = f"{job_id!r} is not a job id: it looks like 0-5f2a9c0b7d1e4f60"
        raise ValueError(msg)
    return int(match[1])


def job_id_for(identity: str, partitions: int) -> JobId:
    """The job id that a submission's identity stands for: the same identity gives the same id."""
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return JobId(f"{int(digest[-8:], 16) % partitions}-{digest[:20]}")


def job_id_from(given: str, partitions: int) -> JobId:
    """A caller's own job id, with the partition put before it when it carries none.

    Raises:
        ValueError: It has characters that an id may not have, or names a partition that does not exist.
    """
    match = _JOB_ID.fullmatch(given)
    if match is not None:
        if int(match[1]) >= partitions:
            msg = f"job id {given!r} names partition {match[1]}; there are {partitions} (MILLRACE_PARTITIONS)"
            raise ValueError(msg)
        return JobId(given)
    if _JOB_NAME.fullmatch(given) is None:
        msg = f"job id {given!r} may have 1 to 96 letters, digits, '_', '.' and '-'"
        raise ValueError(msg)
    digest = hashlib.sha256(given.encode()).digest()
    return JobId(f"{int.from_bytes(digest[-4:], 'big') % partitions}-{given}")


def partition_of_key(key: str) -> int:
    """The partition whose hash tag a key carries."""
    return int(key[key.index("{") + 1 : key.index("}")])


@dataclass(frozen=True, slots=True)
class StreamName:
    """A stage stream's name within its partition: ``<stage>[.<pool>][:high|:low]``."""

    stage: StageName
    pool: str = "default"
    lane: Lane = "normal"

    def __str__(self) -> str:
        pool = "" if self.pool == "default" else f".{self.pool}"
        lane = "" if self.lane == "normal" else f":{self.lane}"
        return f"{self.stage}{pool}{lane}"

    @classmethod
    @lru_cache(maxsize=4096)
    def parse(cls, name: str) -> StreamName:
        """Read a name back.

        Raises:
            ValueError: It is not a stage stream's name.
        """
        rest, _, lane_text = name.partition(":")
        stage_text, _, pool = rest.partition(".")
        stage = next((s for s in STAGES if s == stage_text), None)
        lane = next((known for known in LANES if known == (lane_text or "normal")), None)
        if stage is None or lane is None:
            msg = f"{name!r} is not a stage stream: <stage>[.<pool>][:high|:low]"
            raise ValueError(msg)
        return cls(stage, pool or "default", lane)


class PartitionKeys:
    """The keys of one partition; all share its hash tag."""

    def __init__(self, namespace: str, partition: int) -> None:
        self.partition = partition
        self.prefix = f"{namespace}:{{{partition}}}:"
        self.lifecycle = f"{self.prefix}lifecycle"
        self.timers = f"{self.prefix}timers"
        self.waiting = f"{self.prefix}waiting"
        self.dlq = f"{self.prefix}dlq"
        self.archiver = f"{self.prefix}archiver"
        """Who writes the archive of this partition."""
        self.mark = f"{self.prefix}mark"
        """Written behind a submission that replicas are to acknowledge."""
        self.fixed = (self.lifecycle, self.timers, self.waiting, self.dlq)
        """The first four KEYS of every script."""
        self._streams: dict[tuple[str, str, str], str] = {}

    def stream(self, stage: StageName, pool: str = "default", lane: Lane = "normal") -> str:
        """The stage stream of a pool and lane."""
        found = self._streams.get((stage, pool, lane))
        if found is None:
            found = self._streams[stage, pool, lane] = f"{self.prefix}{StreamName(stage, pool, lane)}"
        return found

    def named(self, name: str) -> str:
        """The key of a stream whose name within the partition is known."""
        return self.prefix + name

    def job(self, job_id: str) -> str:
        """A job's live record."""
        return f"{self.prefix}job:{job_id}"

    def parked(self, job_id: str, stage: str) -> str:
        """A job's emissions beyond its window at a stage."""
        return f"{self.prefix}job:{job_id}:parked:{stage}"

    def spiller(self, job_id: str, stage: str) -> str:
        """That somebody spills that list now."""
        return f"{self.prefix}job:{job_id}:spiller:{stage}"

    def once(self, job_id: str) -> str:
        """What a job has emitted with ``once``."""
        return f"{self.prefix}job:{job_id}:once"

    def idempotency(self, job_id: str) -> str:
        """That this submission was accepted, for the idempotency window."""
        return f"{self.prefix}accepted:{job_id}"

    def rejected(self, entry_id: str) -> str:
        """That this entry of ``events`` was dead-lettered."""
        return f"{self.prefix}rejected:{entry_id}"

    def sweeper(self, pool: str) -> str:
        """Who sweeps this partition's streams of a pool for expired leases."""
        return f"{self.prefix}sweeper:{pool}"


class Keys:
    """The keys of a namespace."""

    def __init__(self, namespace: str, partitions: int = 1) -> None:
        self.namespace = namespace
        self.partitions = partitions
        self.events = f"{namespace}:events"
        self.outcomes = f"{namespace}:outcomes"
        self.api_keys = f"{namespace}:apikeys"
        self.limits = f"{namespace}:limits"
        """What operators set limits to at run time."""
        self.pressure = f"{namespace}:pressure"
        """Why nothing new is taken in, while Redis is nearly full."""
        self.findings = f"{namespace}:findings"
        """What went wrong without a job of its own to tell it."""
        self.pauses = f"{namespace}:pauses"
        self.control = f"{namespace}:control"
        """Counts what operators did that workers are to see at once."""
        self.audit = f"{namespace}:audit"
        self.replays = f"{namespace}:replays"
        """Ids of replays by when they were asked for."""
        self.open_replays = f"{namespace}:replays:open"
        """Ids of those that are not over."""
        self.metrics = f"{namespace}:metrics"
        """What all workers have counted."""
        self.erasures = f"{namespace}:erasures"
        """What was asked to be erased and is not gone for certain yet."""
        self.backup = f"{namespace}:backup"
        """When the last backup was made, and of what."""
        self._by_partition: dict[int, PartitionKeys] = {}

    @cached_property
    def all_partitions(self) -> tuple[PartitionKeys, ...]:
        """One set of keys a partition."""
        return tuple(self.partition(p) for p in range(self.partitions))

    def partition(self, partition: int) -> PartitionKeys:
        """The keys of one partition, also of one beyond the configured number (an older job's)."""
        found = self._by_partition.get(partition)
        if found is None:
            found = self._by_partition[partition] = PartitionKeys(self.namespace, partition)
        return found

    def of_job(self, job_id: str) -> PartitionKeys:
        """The keys of the partition that a job lives in.

        Raises:
            ValueError: It is not a job id.
        """
        return self.partition(partition_of(job_id))

    def replay(self, replay_id: str) -> str:
        """A replay's live record."""
        return f"{self.namespace}:replays:{replay_id}"

    def replay_runner(self, replay_id: str) -> str:
        """Who carries a replay out."""
        return f"{self.namespace}:replays:{replay_id}:runner"

    def worker(self, consumer: str) -> str:
        """A worker's presence record."""
        return f"{self.namespace}:worker:{consumer}"

    def drain(self, consumer: str) -> str:
        """That a worker is asked to drain."""
        return f"{self.namespace}:drain:{consumer}"

    def schedules(self, part: str) -> str:
        """A key of the schedules; all share a hash tag."""
        return f"{self.namespace}:{{schedules}}:{part}"

    @property
    def workers(self) -> str:
        """The set of workers that were seen."""
        return f"{self.namespace}:workers"
