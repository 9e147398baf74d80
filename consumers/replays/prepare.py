"""From what is recorded of a job to the job that repeats it; and whether all that it needs is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from consumers.encode import CLAIM
from consumers.flow import UnknownFlow
from consumers.replays.start import start_stage
from consumers.store.inherited import UpstreamFailure
from schemas.names import lane_of
from streams.archive import claims_in
from streams.keys import job_id_for
from streams.recorded import NotRecorded
from streams.replay import ReplayedJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.flow import Flow, Flows
    from consumers.store import Store
    from schemas.replays import ReplayRequest
    from streams.blobs import Blobs
    from streams.recorded import Cut, Recorded


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job to submit.

    Attributes:
        job: As the log takes it; its traceparent is not set yet.
        cut: What of the origin it repeats.
        entries: How many entries it will have, as far as the origin tells.
    """

    job: ReplayedJob
    cut: Cut

    @property
    def entries(self) -> int:
        """Entries that ran then, from where it begins."""
        return sum(self.cut.entries.values())

    @property
    def failures(self) -> list[UpstreamFailure]:
        """Dead letters of what is not run again."""
        return [
            UpstreamFailure(one.number, one.stage, one.reason, one.error, one.data.decode("utf-8", "replace"))
            for one in self.cut.failures
        ]


def prepare(recorded: Recorded, request: ReplayRequest, flows: Flows, *, replay_id: str, partitions: int) -> Prepared:
    """Decide what of a job is run again.

    The new job's id derives from the replay and the origin, so the same replay never submits it twice. Whom the origin
    told of its end is not told again, and what was to follow it does not follow.

    Raises:
        NotRecorded: It cannot be, and why.
    """
    recorded.check()
    try:
        flow = flows.get(recorded.flow)
    except UnknownFlow as error:
        raise NotRecorded(f"job {recorded.job_id}: {error}", reason="unknown_flow") from None
    cut = recorded.cut(start_stage(flow, request.from_stage, fetch=request.fetch))
    budgets = {name: max(0, amount - cut.spent.get(name, 0)) for name, amount in _budgets(flow, recorded.spec).items()}
    job = ReplayedJob(
        job_id_for(f"replay {replay_id} {recorded.job_id}", partitions), recorded.flow, cut.tasks, cut.next_task,
        recorded.spec, "", origin=recorded.job_id, replay=replay_id, tenant=recorded.tenant,
        lane=lane_of(request.priority), until_stage=recorded.until_stage, budgets=budgets, once=cut.once,
        reused=cut.reused, missing=cut.missing, limit_ms=int(flow.limit_s * 1_000) if flow.limit_s else None,
    )  # fmt: skip
    return Prepared(job, cut)


def _budgets(flow: Flow, spec: bytes) -> dict[str, int]:
    """The budgets that the job had; one that began at a later stage has a payload for a spec, and none."""
    try:
        return dict(flow.budgets(flow.spec.model_validate_json(spec)))
    except ValidationError:
        return {}


async def check_there(prepared: Prepared, blobs: Blobs, store: Store | None) -> None:
    """See that payloads which were put aside are there, and make them young; and what upstream collected.

    Raises:
        NotRecorded: Something is gone.
        TransientError: A store is away.
    """
    job, cut = prepared.job, prepared.cut
    for task in job.tasks:
        # Not what merely looks like one somewhere in a payload.
        aside = claims_in([task.data.decode("utf-8", "replace")]) if task.data.startswith(CLAIM) else ()
        for sha256 in aside:
            if not await blobs.chunks.keep_claim(sha256, tenant=job.tenant):
                text = f"the payload of {task.stage} task {task.number} of job {job.origin} is gone ({sha256})"
                raise NotRecorded(f"{text}; replay it from an earlier stage", reason="payload_gone")
    if not cut.collected:
        return
    kept = 0 if store is None else await store.inherited.contributions(job.origin, cut.upstream, tenant=job.tenant)
    if kept < cut.collected:
        text = f"of {cut.collected} things that job {job.origin} collected before {cut.starts_at}, {kept} are kept"
        raise NotRecorded(f"{text}; replay it from an earlier stage", reason="contributions_gone")


async def missing_files(prepared: Prepared, blobs: Blobs) -> int:
    """How many files that the opened payloads name by SHA-256 the artifact store does not have."""
    named = {sha for task in prepared.job.tasks for sha in files_in(_json(task.data))}
    return sum([not await blobs.exists(sha, tenant=prepared.job.tenant) for sha in sorted(named)])


def _json(data: bytes) -> Any:
    """A payload; None for what an adopted entry brought and is no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def files_in(value: Any) -> Iterator[str]:
    """SHA-256 of the files that a payload names."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "sha256" and isinstance(inner, str) and len(inner) == 64:  # noqa: PLR2004 - hex digits of it
                yield inner
            else:
                yield from files_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from files_in(inner)
