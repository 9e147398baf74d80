"""How much each measurement measures: as shipped, in full, and tiny for a test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        jobs: Of six transitions each, a throughput run.
        rounds: Times that the floor, the pipelines and the peers take turns.
        partitions: Of the second pipeline, beside the one with one partition.
        latency_jobs: Submitted one after the other, on an idle worker.
        latency_per_s: So many a second.
        half_load_s: Seconds of half of the maximum load.
        single_submits: Submitted one call after the other; batched are twenty times as many.
        memory_jobs: Queued at once.
        backlogs: Queued jobs at which the cost of a transition is measured, rising.
        pending: Entries held by somebody else at which it is measured, rising.
        growth_jobs: Of six transitions each, at each of those.
        growth_rounds: Times that the curve is gone through.
        kills: Workers that are killed.
        lease_ms: Of those; 0: the shipped one.
        held_jobs: Queued while they are.
        soak_transitions: Of the worker whose memory is watched.
        claim_jobs: Of the runs of the claims.
        claim_workers: Processes of the first claim.
        peer_jobs: Of six transitions each, a run of a peer.
        scaled_jobs: Queued while the worker processes become more and fewer.
    """

    jobs: int = 5_000
    rounds: int = 3
    partitions: int = 16
    latency_jobs: int = 300
    latency_per_s: float = 20.0
    half_load_s: float = 8.0
    single_submits: int = 2_000
    memory_jobs: int = 10_000
    backlogs: tuple[int, ...] = (1_000, 10_000, 100_000)
    pending: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    growth_jobs: int = 5_000
    growth_rounds: int = 2
    kills: int = 2
    lease_ms: int = 0
    held_jobs: int = 3_000
    soak_transitions: int = 200_000
    claim_jobs: int = 2_000
    claim_workers: int = 8
    peer_jobs: int = 500
    scaled_jobs: int = 60_000

    @classmethod
    def full(cls) -> Self:
        """With the backlog of a million entries and the worker that settles a million: some 20 minutes."""
        return cls(
            backlogs=(1_000, 10_000, 100_000, 1_000_000), kills=5, soak_transitions=1_000_000, half_load_s=20.0,
            peer_jobs=1_000,
        )  # fmt: skip

    @classmethod
    def tiny(cls) -> Self:
        """Enough to see that it runs."""
        return cls(
            jobs=60, rounds=1, partitions=2, latency_jobs=10, latency_per_s=50, half_load_s=0.3, single_submits=20,
            memory_jobs=500, backlogs=(20, 40), pending=(5,), growth_jobs=20, growth_rounds=1, kills=1,
            lease_ms=1_000, held_jobs=400, soak_transitions=1_200, claim_jobs=40, claim_workers=1, peer_jobs=10,
            scaled_jobs=4_000,
        )  # fmt: skip

    def of(self, *, jobs: int | None = None, rounds: int | None = None) -> Self:
        """The same with another number of jobs or rounds of a throughput run."""
        return replace(self, jobs=jobs or self.jobs, rounds=rounds or self.rounds)
