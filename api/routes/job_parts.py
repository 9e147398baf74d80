"""What belongs to a job: ``/result /artifacts /logs /trace``."""

import time
from dataclasses import asdict
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from api.auth import Reader
from api.json_response import Json, items
from api.look import entries_of, find
from api.otlp import otlp_of
from api.problems import Problem
from api.results import result_of, statements_file
from api.services import services_of
from api.views import links_of
from api.waterfall import capped, trace_of
from consumers.store.pages import read_cursor, write_cursor
from schemas.memo import MemoView
from streams.blobs import BlobNotFound

router = APIRouter(prefix="/jobs/{job_id}", tags=["jobs"])

MAX_SPANS = 50_000
MAX_TRACED = 100_000
"""Lifecycle entries of a job that a trace is read from at most."""


@router.get("/result")
async def get_result(
    request: Request,
    caller: Reader,
    job_id: str,
    revision: Annotated[int | None, Query(ge=1)] = None,
    form: Annotated[Literal["json", "csv", "xlsx", "parquet"], Query(alias="format")] = "json",
) -> Response:
    """The result of the latest revision, or of the one named, with what is missing from it and why.

    `format` gives the statements of `filings` as a file instead: ``csv``, ``xlsx`` or ``parquet``.
    """
    services = services_of(request)
    found = await find(services, job_id, caller.tenant)
    result = await result_of(services, found, revision)
    if form == "json":
        return Json(result)
    return await statements_file(services, result, form)


@router.get("/artifacts")
async def list_artifacts(request: Request, caller: Reader, job_id: str) -> Response:
    """The job's files."""
    services = services_of(request)
    await find(services, job_id, caller.tenant)
    files = await services.store.artifacts.of(job_id, tenant=caller.tenant)
    shown: list[dict[str, Any]] = [
        {
            "name": one.name, "task": one.task, "sha256": one.sha256, "content_type": one.content_type,
            "size_bytes": one.size_bytes, "url": one.url, "created_at": one.created_at,
            "href": f"{links_of(job_id)['artifacts']}/{one.task}/{quote(one.name, safe='')}",
        }
        for one in files
    ]  # fmt: skip
    return items(shown)


@router.get("/artifacts/{task}/{name:path}")
async def get_artifact(request: Request, caller: Reader, job_id: str, task: int, name: str) -> Response:
    """The bytes of a file of the job, to be saved: what a site sent is never shown as a page of ours."""
    services = services_of(request)
    await find(services, job_id, caller.tenant)
    files = await services.store.artifacts.of(job_id, tenant=caller.tenant)
    file = next((one for one in files if (one.task, one.name) == (task, name)), None)
    gone = Problem("not-found", f"job {job_id} has no file {name[:200]!r} of task {task}; see its /artifacts")
    if file is None:
        raise gone
    try:
        size_bytes = await services.blobs.size(file.sha256, tenant=caller.tenant)
    except BlobNotFound:
        raise gone from None
    headers = {
        "Content-Length": str(size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name.rpartition('/')[2], safe='')}",
        "ETag": f'"{file.sha256}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    pieces = services.blobs.stream(file.sha256, tenant=caller.tenant)
    return StreamingResponse(pieces, headers=headers, media_type=file.content_type)


@router.get("/memo", response_model=MemoView)
async def get_memo(request: Request, caller: Reader, job_id: str) -> Response:
    """What of the job's work was had from memo instead of computed, by stage, and the seconds that saved."""
    services = services_of(request)
    await find(services, job_id, caller.tenant)
    return Json(await services.store.memos.of_job(job_id, tenant=caller.tenant))


@router.get("/logs")
async def get_logs(
    request: Request,
    caller: Reader,
    job_id: str,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
) -> Response:
    """The job's log, oldest first; `after` takes the `seq` of the last line seen, to ask for what came since."""
    services = services_of(request)
    await find(services, job_id, caller.tenant)
    if cursor is not None:
        (after,) = (int(str(part)) for part in read_cursor(cursor, int))
    lines = await services.store.logs.read(job_id, tenant=caller.tenant, after=after, limit=limit)
    shown: list[dict[str, Any]] = [
        {
            "seq": line.seq, "at": line.at, "level": line.level, "message": line.message, "fields": line.fields or {},
            "task": line.task, "stage": line.stage, "attempt": line.attempt, "trace_id": line.trace_id,
        }
        for line in lines
    ]  # fmt: skip
    return items(shown, write_cursor(lines[-1].seq) if len(lines) == limit else None)


@router.get("/trace")
async def get_trace(
    request: Request,
    caller: Reader,
    job_id: str,
    form: Annotated[Literal["spans", "otlp"], Query(alias="format")] = "spans",
    limit: Annotated[int, Query(ge=1, le=MAX_SPANS)] = MAX_SPANS,
) -> Response:
    """What the job did and when, task by task, read back from its lifecycle; as OTLP JSON with `format=otlp`.

    It needs no trace backend and no sampled span. `left_out` counts the spans beyond the limit.
    """
    services = services_of(request)
    found = await find(services, job_id, caller.tenant)
    entries = []
    async for entry in entries_of(services, found):
        entries.append((entry.entry_id, entry.fields))
        if len(entries) == MAX_TRACED:
            break
    trace = capped(trace_of(entries), limit)
    if form == "otlp":
        return Json(otlp_of(trace, int(time.time() * 1_000)))
    told = {"job_id": job_id, "flow": found.view.flow, "trace_id": trace.trace_id or found.view.trace_id}
    return Json({**asdict(trace), **told, "is_cut": len(entries) == MAX_TRACED})
