"""Entries that somebody put straight into a stage stream: made jobs of, or dead-lettered with the reason."""

from __future__ import annotations

import hashlib

from consumers.flow import Flows
from schemas.names import JobId
from schemas.upcast import UnreadablePayload, read_payload
from streams.codec import Delivery
from streams.log import digest_of
from streams.moves import Death, Moves
from streams.telemetry import parse, setup
from streams.telemetry.traceparent import trace_of_job


def adopted_id(partition: int, stream: str, entry_id: str) -> JobId:
    """The id of the job that an entry of a stage stream becomes: the same however often it is adopted."""
    digest = hashlib.sha256(f"{stream} {entry_id}".encode()).hexdigest()
    return JobId(f"{partition}-{digest[:20]}")


class Adopter:
    """Adopts entries without `job`: each becomes a job that starts at that stage, in that partition, once."""

    def __init__(self, moves: Moves, flows: Flows) -> None:
        self._moves = moves
        self._flows = flows

    async def adopt(self, entry: Delivery) -> Death | None:
        """Adopt an entry; what does not parse is answered as a death."""
        flow = self._flows.by_name.get(entry.flow)
        stage = flow.by_name.get(entry.name.stage) if flow is not None else None
        if stage is None:
            known = ", ".join(sorted(self._flows.by_name))
            text = f"the entry has neither `job` nor a `flow` with this stage ({entry.flow!r}); flows are: {known}"
            return Death(entry, "unknown_flow", text, is_stray=True)
        try:
            read_payload(stage.accepts, entry.data)
        except UnreadablePayload as error:
            return Death(entry, error.reason, str(error), is_stray=True)
        job_id = adopted_id(entry.keys.partition, entry.stream, entry.entry_id)
        given = parse(entry.traceparent)
        traceparent = str(given) if given is not None else str(trace_of_job(job_id, setup.current.sampler))
        await self._moves.adopt(
            entry, job_id, tenant="default", traceparent=traceparent, digest=digest_of(entry.flow, entry.data)
        )
        return None
