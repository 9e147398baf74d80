"""``/collections``: documents that are searched together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api import audit
from api.auth import Caller, Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.collected import collection_of, document_view
from api.collected import delete_collection as delete_all
from api.json_response import Json, items
from api.problems import Problem
from api.services import Services, services_of
from consumers.answer import answer
from consumers.embeddings import model_of
from consumers.search import search
from consumers.store.collections import NameTaken
from schemas.documents import AnswerRequest, CollectionRequest, SearchRequest, settings_of
from streams.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.store.models import Collection
    from schemas.documents import Citation, Passage

router = APIRouter(prefix="/collections", tags=["documents"])


@router.post("", status_code=201, openapi_extra=body_schema(CollectionRequest, {"name": "contracts"}))
async def create_collection(request: Request, caller: Submitter) -> Response:
    """Make a collection."""
    services = services_of(request)
    asked = fit(CollectionRequest, await read_json(request), "the collection")
    _check_embedding(asked, services)
    try:
        made = await services.store.collections.create(asked.name, asked.settings, tenant=caller.tenant)
    except NameTaken as error:
        raise Problem("name-taken", str(error)) from None
    return Json(_view(made, 0), 201, {"Location": f"/api/v1/collections/{made.id}"})


@router.get("")
async def list_collections(
    request: Request,
    caller: Reader,
    cursor: Annotated[str | None, Query(max_length=1_000)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's collections by name."""
    page = await services_of(request).store.collections.page(tenant=caller.tenant, cursor=cursor, limit=limit)
    return items([_view(one, count) for one, count in page.items], page.next)


@router.get("/{collection_id}")
async def get_collection(request: Request, caller: Reader, collection_id: str) -> Response:
    """One collection, by id or name."""
    return Json(_view(await collection_of(services_of(request), collection_id, caller)))


@router.put("/{collection_id}", openapi_extra=body_schema(CollectionRequest))
async def change_collection(request: Request, caller: Submitter, collection_id: str) -> Response:
    """Rename a collection or change its settings.

    Another embedding or another length of passages takes effect on what comes; submit `{"flow": "documents", "spec":
    {"collection": ID, "reindex": true}}` for what is there. Searches use the old model until all have the new one.
    """
    services = services_of(request)
    found = await collection_of(services, collection_id, caller)
    asked = fit(CollectionRequest, await read_json(request), "the collection")
    _check_embedding(asked, services)
    lifts_hold = settings_of(found.settings).legal_hold and not asked.settings.legal_hold
    if lifts_hold and not caller.may("admin"):
        raise Problem("forbidden", "lifting a legal hold needs the scope admin")
    try:
        await services.store.collections.change(found.id, asked.name, asked.settings, tenant=caller.tenant)
    except NameTaken as error:
        raise Problem("name-taken", str(error)) from None
    return Json(_view(await collection_of(services, found.id, caller)))


@router.delete("/{collection_id}", status_code=204)
async def delete_collection(request: Request, caller: Submitter, collection_id: str) -> Response:
    """Delete a collection with its documents, passages, vectors and bytes, and soon what log and archive know."""
    services = services_of(request)
    found = await collection_of(services, collection_id, caller)
    count = await delete_all(services, found, caller.tenant)
    await audit.record(
        services, caller.actor, "collection.delete", found.id, {"documents": count}, tenant=caller.tenant
    )
    return Response(status_code=204)


@router.get("/{collection_id}/documents")
async def list_documents(
    request: Request,
    caller: Reader,
    collection_id: str,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The documents of a collection."""
    services = services_of(request)
    found = await collection_of(services, collection_id, caller)
    page = await services.store.collected.page(found.id, tenant=caller.tenant, cursor=cursor, limit=limit)
    return items([document_view(one) for one in page.items], page.next)


@router.post("/{collection_id}/search", openapi_extra=body_schema(SearchRequest, {"query": "termination notice"}))
async def search_collection(request: Request, caller: Reader, collection_id: str) -> Response:
    """Find passages, best first: those with the very words, then by words and likeness, fused by rank."""
    services = services_of(request)
    found = await collection_of(services, collection_id, caller)
    asked = fit(SearchRequest, await read_json(request), "the search")
    try:
        passages = await search(services.store, services.settings, found, asked)
    except ValueError as error:
        raise Problem("invalid-request", f"the search does not fit: since or until: {error}") from None
    detail = {"query": asked.query, "found": len(passages), "documents": _documents_of(passages)}
    await audit.record(services, caller.actor, "collection.search", found.id, detail, tenant=caller.tenant)
    return Json({"collection_id": found.id, "embedding": found.embedding, "items": passages, "next": None})


@router.post("/{collection_id}/answer", openapi_extra=body_schema(AnswerRequest, {"question": "When does it end?"}))
async def answer_question(request: Request, caller: Reader, collection_id: str) -> Response:
    """Answer a question from the collection's passages, by the operator's language model.

    Every citation is a span of a document; a statement without one is left out. Without any the answer is null.
    """
    services = services_of(request)
    found = await collection_of(services, collection_id, caller)
    asked = fit(AnswerRequest, await read_json(request), "the question")
    said = await answer(services.store, services.settings, services.llm, found, asked)
    detail = {"question": asked.question, "reason": said.reason, "documents": _documents_of(said.citations)}
    await audit.record(services, caller.actor, "collection.answer", found.id, detail, tenant=caller.tenant)
    return Json(said)


def _documents_of(found: Iterable[Passage | Citation]) -> list[str]:
    return list(dict.fromkeys(one.document_id for one in found))


def _check_embedding(asked: CollectionRequest, services: Services) -> None:
    try:
        model_of(asked.settings, services.settings)
    except PermanentError as error:
        field = {"field": "settings.embedding", "detail": str(error)}
        raise Problem("invalid-request", f"the collection does not fit: {error}", errors=[field]) from None


def _view(collection: Collection, documents: int | None = None) -> dict[str, Any]:
    at = f"/api/v1/collections/{collection.id}"
    shown: dict[str, Any] = {
        "id": collection.id, "name": collection.name, "settings": settings_of(collection.settings),
        "embedding": {"model": collection.embedding, "dimension": collection.dimension},
        "created_at": collection.created_at,
        "links": {
            "self": at, "documents": f"{at}/documents", "search": f"{at}/search", "answer": f"{at}/answer",
        },
    }  # fmt: skip
    return shown if documents is None else {**shown, "documents": documents}


__all__ = ["Caller", "router"]
