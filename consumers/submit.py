"""From what a user asked to a job in the log; the same for HTTP, events, schedules, the command line and follow-ups."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from consumers.flow import Flow, Flows
from schemas.jobs import JobRequest
from schemas.names import STAGES, JobId, lane_of
from schemas.upcast import UnreadablePayload, read_payload, said
from streams.codec import MAX_DATA_BYTES
from streams.errors import PermanentError
from streams.keys import job_id_for, job_id_from, partition_of
from streams.log import Log, NewJob, digest_of
from streams.telemetry import submit_span


class BadSpec(PermanentError):  # noqa: N818 - it says what is wrong
    """What was asked is no job of its flow.

    Attributes:
        problems: Where in the request, and what is expected there.
    """

    def __init__(self, message: str, problems: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message, reason="bad_spec")
        self.problems = problems or []


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission's answer."""

    job_id: JobId
    trace_id: str
    is_new: bool


async def submit(
    log: Log,
    flows: Flows,
    request: JobRequest,
    *,
    identity: str = "",
    tenant: str = "default",
    traceparent: str | None = None,
    parent: str = "",
    is_owed: bool = False,
) -> Submitted:
    """Submit a job under a span that ends at once.

    Args:
        identity: What makes two sends one submission: event source and id, or key and Idempotency-Key. The job id
            derives from it. Empty: the request's `job_id`, else a new id.
        traceparent: The caller's; the job runs inside that trace.
        is_owed: Taken in whatever waits: it belongs to what was accepted before, or helps to end it.

    Raises:
        UnknownFlow: No such flow.
        BadSpec: The flow cannot be run with this.
        Refused: The identity was used before with another body.
        Overloaded: Too much waits at its first stage.
    """
    check(flows, request)
    job_id = _job_id(request, identity, log.keys.partitions)
    with submit_span(request.flow, job_id, traceparent) as submitted_in:
        job = new_job(flows.get(request.flow), request, job_id, tenant=tenant, traceparent=submitted_in, parent=parent)
        is_new = await log.submit(replace(job, is_owed=is_owed))
    if not is_new and (record := await log.job(job_id)) is not None:
        return Submitted(job_id, record.trace_id, is_new=False)
    return Submitted(job_id, submitted_in[3:35], is_new)


def check(flows: Flows, request: JobRequest) -> BaseModel:
    """The request's spec (or, with `from_stage`, payload) as its model.

    Raises:
        UnknownFlow, BadSpec: As `submit`; a follow-up is checked too.
    """
    flow = flows.get(request.flow)
    if request.then is not None:
        check(flows, request.then)
    first, last = request.from_stage, request.until_stage
    if first and last and STAGES.index(first) > STAGES.index(last):
        raise BadSpec(f"from_stage {first} comes after until_stage {last}")
    if request.expires_at and request.run_at and request.expires_at <= request.run_at:
        raise BadSpec("expires_at is not after run_at: the job could never start")
    if request.from_stage and request.from_stage != "crawl":
        stage = flow.by_name.get(request.from_stage)
        if stage is None:
            raise BadSpec(f"flow {flow.name} has no stage {request.from_stage}")
        try:
            return read_payload(stage.accepts, _written(request.spec))
        except UnreadablePayload as error:
            raise BadSpec(f"spec is no payload of {flow.name}'s {request.from_stage}: {error}") from None
    try:
        return flow.spec.model_validate(request.spec)
    except ValidationError as error:
        problems = [
            {"loc": ["spec", *one["loc"]], "msg": one["msg"], "type": one["type"]}
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise BadSpec(f"spec does not fit flow {flow.name}: {said(error)}", problems) from None


def new_job(
    flow: Flow, request: JobRequest, job_id: JobId, *, tenant: str, traceparent: str, parent: str = ""
) -> NewJob:
    """The job that a checked request asks for.

    Raises:
        BadSpec: As `check`; or the spec is larger than an entry may be.
    """
    stage = request.from_stage or "crawl"
    if stage == "crawl":
        spec = flow.spec.model_validate(request.spec)
        first = flow.first(spec)
        budgets = flow.budgets(spec)
    else:
        first, budgets = read_payload(flow.by_name[stage].accepts, _written(request.spec)), {}
    written = _written(request.spec)
    data = first.model_dump_json().encode()
    if max(len(data), len(written)) > MAX_DATA_BYTES:
        raise BadSpec(f"spec has {len(written)} bytes; at most {MAX_DATA_BYTES} go into a job: upload the rest first")
    try:
        body = request.model_dump_json(exclude={"job_id"}, exclude_defaults=True)
    except PydanticSerializationError as error:
        raise BadSpec(f"it cannot be written as JSON: {error}; nest it less deeply") from None
    return NewJob(
        job_id, flow.name, data, written, traceparent, stage=stage, until_stage=request.until_stage, tenant=tenant,
        lane=lane_of(request.priority), body_digest=digest_of(tenant, body),
        run_at_ms=_ms(request.run_at), expires_at_ms=_ms(request.expires_at), result_ttl_s=request.result_ttl_s,
        notify=request.notify.model_dump_json(exclude_defaults=True).encode() if request.notify else b"",
        follow_up=request.then.model_dump_json(exclude_defaults=True).encode() if request.then else b"",
        budgets=budgets, limit_ms=int(flow.limit_s * 1_000) if flow.limit_s else None, parent=parent,
    )  # fmt: skip


async def follow_up(log: Log, flows: Flows, job_id: str, body: bytes) -> None:
    """Submit what a job's `then` asks for; once, however often this is called."""
    record = await log.job(job_id)
    tenant = record.tenant if record is not None else "default"
    traceparent = record.fields.get("traceparent") if record is not None else None
    request = JobRequest.model_validate_json(body)
    # In the same partition: its id derives from the first job's.
    if request.job_id is None:
        request = request.model_copy(update={"job_id": f"{partition_of(job_id)}-{job_id.partition('-')[2]}.then"})
    await submit(log, flows, request, tenant=tenant, traceparent=traceparent, parent=job_id, is_owed=True)


def _written(spec: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(spec)
    except TypeError as error:
        raise BadSpec(f"spec cannot be written as JSON: {error}; nest it less deeply") from None


def _job_id(request: JobRequest, identity: str, partitions: int) -> JobId:
    if identity:
        return job_id_for(identity, partitions)
    if request.job_id is not None:
        try:
            return job_id_from(request.job_id, partitions)
        except ValueError as error:
            raise BadSpec(str(error)) from None
    return job_id_for(uuid.uuid4().hex, partitions)


def _ms(instant: Any) -> int:
    return int(instant.timestamp() * 1_000) if instant is not None else 0
