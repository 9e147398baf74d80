"""``/uploads``: bytes for a job to come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.auth import Submitter
from api.json_response import Json
from api.problems import Problem
from api.services import Services, services_of
from consumers.documents.errors import DocumentRefused
from consumers.documents.kinds import MEDIA_TYPES, kind_of
from streams.blobs import BlobTooLarge
from streams.objects import CHUNK_BYTES

router = APIRouter(prefix="/uploads", tags=["documents"])

MAX_FILES = 100
MAX_FILE_BYTES = 256 * 1024 * 1024


@router.post("", status_code=201)
async def upload(
    request: Request, caller: Submitter, name: Annotated[str, Query(max_length=200)] = "document"
) -> Response:
    """Send files: many as ``multipart/form-data``, or one as the body itself with its ``name`` in the query.

    What a file is, is told by its content. The answer's ids go into ``uploads`` of a `documents` job's spec.
    """
    services = services_of(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        return Json({"items": [await _kept(services, caller.tenant, name, request.stream())], "next": None}, 201)
    try:
        async with request.form(max_files=MAX_FILES, max_fields=20) as form:
            files = _files(form)
            kept = [await _kept(services, caller.tenant, file.filename or name, _pieces(file)) for file in files]
    except MultiPartException as error:
        raise Problem("invalid-request", f"the form cannot be read: {error.message}") from None
    return Json({"items": kept, "next": None}, 201)


def _files(form: FormData) -> list[UploadFile]:
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if not files:
        raise Problem("invalid-request", "the form has no file in it; send one as a part with a file name")
    return files


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(CHUNK_BYTES):
        yield piece


async def _kept(services: Services, tenant: str, name: str, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
    """Put a file into the artifact store; what nobody can read is refused at once, with what it is."""
    try:
        artifact = await services.blobs.put(
            pieces, tenant=tenant, content_type="application/octet-stream", max_bytes=MAX_FILE_BYTES
        )
    except BlobTooLarge:
        raise Problem("too-large", f"{name!r} has more than {MAX_FILE_BYTES:,} bytes; split it") from None
    except ClientDisconnect:
        raise Problem("timeout", "the connection ended before the file did; send it again") from None
    short = name.replace("\\", "/").rpartition("/")[2][-200:] or "document"
    try:
        kind = kind_of(await services.blobs.read(artifact.sha256, tenant=tenant), short)
    except DocumentRefused as error:
        field = {"field": short, "detail": f"{error.reason}: {error}"}
        raise Problem("invalid-request", f"{short!r} is refused: {error}", errors=[field]) from None
    made = await services.store.collections.put_upload(short, artifact.sha256, artifact.size_bytes, kind, tenant=tenant)
    return {
        "upload_id": made.id, "name": made.name, "kind": kind, "content_type": MEDIA_TYPES[kind],
        "size_bytes": made.size_bytes, "sha256": made.sha256,
    }  # fmt: skip
