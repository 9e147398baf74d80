"""What the routes of collections and documents have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from api.problems import Problem
from schemas.documents import settings_of

if TYPE_CHECKING:
    from api.auth import Caller
    from api.services import Services
    from consumers.store.models import CollectedDocument, Collection


async def collection_of(services: Services, name_or_id: str, caller: Caller) -> Collection:
    """A collection of the caller's tenant.

    Raises:
        Problem: ``not-found``.
    """
    found = await services.store.collections.find(name_or_id, tenant=caller.tenant)
    if found is None:
        raise Problem(
            "not-found", f"there is no collection {name_or_id[:200]!r}; GET /api/v1/collections lists those there are"
        )
    return found


async def collected_of(services: Services, document_id: str, caller: Caller) -> CollectedDocument | None:
    """A document of a collection of the caller's tenant, if it is one."""
    return await services.store.collected.get(document_id, tenant=caller.tenant)


def refuse_if_held(collection: Collection) -> None:
    """Raise a problem when nothing of a collection may be deleted."""
    if settings_of(collection.settings).legal_hold:
        raise Problem(
            "legal-hold",
            f"collection {collection.name!r} is under legal hold and nothing of it is deleted; an admin can lift it by "
            f"PUT /api/v1/collections/{collection.id}",
        )


async def drop_bytes(services: Services, digests: Iterable[str], tenant: str) -> None:
    """Remove bytes that nothing refers to."""
    for sha256 in digests:
        await services.blobs.delete(sha256, tenant=tenant)


def document_view(document: CollectedDocument) -> dict[str, Any]:
    """A document as the API shows it."""
    at = f"/api/v1/documents/{document.id}"
    return {
        "id": document.id, "flow": "documents", "collection_id": document.collection_id, "name": document.name,
        "url": document.url, "sha256": document.sha256, "size_bytes": document.size_bytes, "kind": document.kind,
        "status": document.status, "reason": document.reason, "title": document.title, "language": document.language,
        "pages": document.page_count, "text_length": document.text_length, "chunks": document.chunk_count,
        "cut": document.cut or [], "job_id": document.job_id, "created_at": document.created_at,
        "changed_at": document.changed_at, "links": {"self": at, "chunks": f"{at}/chunks", "text": f"{at}/text"},
    }  # fmt: skip
