"""``/documents`` of collections: passages, text, reading one anew, and deleting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from api import audit
from api.auth import Caller, Reader, Submitter
from api.collected import collected_of, collection_of, delete_documents, erase_soon, refuse_if_held
from api.json_response import Json, items
from api.problems import Problem
from api.services import Services, services_of
from api.submission import accept
from schemas.jobs import JobAccepted, JobRequest

if TYPE_CHECKING:
    from consumers.store.models import CollectedDocument

router = APIRouter(prefix="/documents/{document_id}", tags=["documents"])


@router.get("/chunks")
async def list_chunks(
    request: Request,
    caller: Reader,
    document_id: str,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The passages of a document in order: ``text`` is the document's text from ``start`` to ``end``."""
    services = services_of(request)
    document = await _found(services, document_id, caller)
    page = await services.store.collected.passages(document.id, tenant=caller.tenant, cursor=cursor, limit=limit)
    shown = [
        {
            "ordinal": one.ordinal, "start": one.start, "end": one.end, "first_page": one.first_page,
            "last_page": one.last_page, "section": one.section, "text": one.text,
        }
        for one in page.items
    ]  # fmt: skip
    return items(shown, page.next)


@router.get("/text")
async def get_text(request: Request, caller: Reader, document_id: str) -> Response:
    """All that was read of a document, to be saved."""
    services = services_of(request)
    document = await _found(services, document_id, caller)
    if document.text_sha256 is None:
        raise Problem("no-result", f"document {document_id} has not been read: it is {document.status}")
    headers = {"Content-Disposition": "attachment", "Content-Security-Policy": "sandbox; default-src 'none'"}
    pieces = services.blobs.stream(document.text_sha256, tenant=caller.tenant)
    return StreamingResponse(pieces, headers=headers, media_type="text/plain; charset=utf-8")


@router.post("/reindex", status_code=202, response_model=JobAccepted)
async def reindex(
    request: Request,
    caller: Submitter,
    document_id: str,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    traceparent: Annotated[str | None, Header(max_length=512)] = None,
) -> Response:
    """Read a document anew and index it with its collection's present settings: a job."""
    services = services_of(request)
    document = await _found(services, document_id, caller)
    job = JobRequest(flow="documents", spec={"collection": document.collection_id, "documents": [document.id]})
    identity = f"key {caller.tenant} {caller.key_id} {idempotency_key}" if idempotency_key else ""
    accepted = await accept(services, job, caller, identity=identity, traceparent=traceparent)
    return Json(accepted, 202, {"Location": accepted.links["self"], "X-Trace-Id": accepted.trace_id})


@router.delete("", status_code=204)
async def delete_document(request: Request, caller: Submitter, document_id: str) -> Response:
    """Delete a document with its passages, vectors and bytes, and soon what log and archive know of it."""
    services = services_of(request)
    document = await _found(services, document_id, caller)
    refuse_if_held(await collection_of(services, document.collection_id, caller))
    await delete_documents(services, [document], caller.tenant)
    await erase_soon(services)
    await audit.record(services, caller.actor, "document.delete", document.id, tenant=caller.tenant)
    return Response(status_code=204)


async def _found(services: Services, document_id: str, caller: Caller) -> CollectedDocument:
    found = await collected_of(services, document_id, caller)
    if found is None:
        detail = f"there is no document {document_id[:100]!r} in any collection"
        raise Problem("not-found", detail)
    return found
