"""``/documents``: what was found, its bytes, its statements as printed, and its pages as images."""

import math
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote, urlsplit

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from api.auth import Reader
from api.collected import collected_of
from api.collected import document_view as collected_view
from api.documents import document_at, document_view, statement_view
from api.json_response import Json, items
from api.problems import Problem
from api.services import Services, services_of
from consumers.documents.marks import draw_passage
from consumers.filings.page_image import draw_page
from consumers.store.models import Document
from schemas.filings import Box, Statement
from streams.blobs import BlobNotFound
from streams.errors import MillraceError

router = APIRouter(prefix="/documents", tags=["documents"])

IMAGE_S: Final = 30.0
IMAGE_MB: Final = 1_024
"""Time and memory that drawing one page may take."""

MOST_BOXES: Final = 50
_EDGES: Final = 4
_CELL: Final = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


@router.get("")
async def list_documents(
    request: Request,
    caller: Reader,
    flow: Annotated[str | None, Query(max_length=64)] = None,
    status: Annotated[str | None, Query(max_length=20)] = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's documents, of all flows or of one."""
    page = await services_of(request).store.documents.page(
        tenant=caller.tenant, flow=flow, status=status, cursor=cursor, limit=limit
    )
    return items([document_view(one) for one in page.items], page.next)


@router.get("/{document_id}")
async def get_document(request: Request, caller: Reader, document_id: str) -> Response:
    """A document, of a company or of a collection."""
    services = services_of(request)
    collected = await collected_of(services, document_id, caller)
    if collected is not None:
        return Json(collected_view(collected))
    return Json(document_view(await document_at(services, document_id, caller.tenant)))


@router.get("/{document_id}/statements")
async def get_statements(request: Request, caller: Reader, document_id: str) -> Response:
    """The statements as the document prints them: every line in order, every cell with page, box and text."""
    services = services_of(request)
    document = await document_at(services, document_id, caller.tenant)
    kept = await services.store.documents.statements(document_id, tenant=caller.tenant)
    return items([statement_view(document, one) for one in kept])


@router.get("/{document_id}/file")
async def get_file(request: Request, caller: Reader, document_id: str) -> Response:
    """The document's bytes, to be saved: what a site sent is never shown as a page of ours."""
    services = services_of(request)
    document = await document_at(services, document_id, caller.tenant)
    sha256 = _sha256_of(document)
    try:
        size_bytes = await services.blobs.size(sha256, tenant=caller.tenant)
    except BlobNotFound:
        raise _not_downloaded(document) from None
    name = PurePosixPath(unquote(urlsplit(document.url).path)).name or document.id
    headers = {
        "Content-Length": str(size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "ETag": f'"{sha256}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    pieces = services.blobs.stream(sha256, tenant=caller.tenant)
    return StreamingResponse(pieces, headers=headers, media_type=document.content_type or "application/octet-stream")


@router.get("/{document_id}/pages/{page}.png", response_class=Response)
async def get_page(
    request: Request,
    caller: Reader,
    document_id: str,
    page: Annotated[int, Path(ge=1, le=100_000)],
    box: Annotated[list[str] | None, Query(max_length=MOST_BOXES)] = None,
    cell: Annotated[list[str] | None, Query(max_length=MOST_BOXES)] = None,
    chunk: Annotated[int | None, Query(ge=0, le=10_000_000)] = None,
) -> Response:
    """A page of a PDF as an image, with boxes drawn on it.

    `box` is ``left,bottom,right,top`` in points from the page's lower left corner; `cell` the id of a cell of the
    document's statements; both may be given several times. `chunk` is the ordinal of a passage, when the document is
    one of a collection: what the page has of it is framed.
    """
    services = services_of(request)
    boxes = [_box(text) for text in box or ()]
    collected = await collected_of(services, document_id, caller)
    if collected is not None:
        data = await services.blobs.read(collected.sha256, tenant=caller.tenant)
        if chunk is None:
            return await _drawn(services, document_id, page, draw_page, data, page, boxes)
        found = await services.store.searching.load([(collected.id, chunk)], tenant=caller.tenant)
        if not found:
            raise Problem(
                "not-found", f"document {document_id} has no passage {chunk}; see /documents/{document_id}/chunks"
            )
        passage = found[collected.id, chunk].passage.text
        return await _drawn(services, document_id, page, draw_passage, data, page, passage)
    document = await document_at(services, document_id, caller.tenant)
    boxes += await _boxes_of(services, document, page, cell or [])
    try:
        data = await services.blobs.read(_sha256_of(document), tenant=caller.tenant)
    except BlobNotFound:
        raise _not_downloaded(document) from None
    return await _drawn(services, document.id, page, draw_page, data, page, boxes)


async def _drawn(services: Services, document_id: str, page: int, draw: Callable[..., bytes], *given: Any) -> Response:
    try:
        png = await services.cpu.run(draw, *given, timeout_s=IMAGE_S, memory_mb=IMAGE_MB)
    except MillraceError as error:
        raise Problem("not-found", f"page {page} of document {document_id} cannot be drawn: {error}") from error
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def _box(text: str) -> Box:
    try:
        edges = [float(edge) for edge in text.split(",")]
    except ValueError:
        edges = []
    if len(edges) != _EDGES or not all(math.isfinite(edge) for edge in edges):
        detail = f"box={text[:60]!r} is not left,bottom,right,top in points"
        raise Problem("invalid-request", detail, errors=[{"field": "box", "detail": detail}])
    return edges[0], edges[1], edges[2], edges[3]


async def _boxes_of(services: Services, document: Document, page: int, cells: list[str]) -> list[Box]:
    if not cells:
        return []
    kept = await services.store.documents.statements(document.id, tenant=document.tenant)
    statements = {one.ordinal: Statement.model_validate(one.payload) for one in kept}
    boxes = []
    for name in cells:
        match = _CELL.fullmatch(name)
        try:
            ordinal, row, column = (int(part) for part in match.groups()) if match else (-1, 0, 0)
            found = statements[ordinal].rows[row].cells[column]
        except (KeyError, IndexError):
            found = None
        if found is None or found.box is None or found.page != page:
            detail = f"cell={name[:60]!r} is no cell with a box on page {page}; see /documents/{document.id}/statements"
            raise Problem("invalid-request", detail, errors=[{"field": "cell", "detail": detail}])
        boxes.append(found.box)
    return boxes


def _sha256_of(document: Document) -> str:
    if document.sha256 is None:
        raise _not_downloaded(document)
    return document.sha256


def _not_downloaded(document: Document) -> Problem:
    return Problem(
        "not-downloaded",
        f"document {document.id} is not in the artifact store ({document.status}); POST "
        f"/api/v1/tasks/documents/{document.id}/download fetches it",
    )
