"""What the routes of collections and documents have in common."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api.problems import Problem
from consumers.submit import submit
from schemas.documents import settings_of
from schemas.jobs import JobRequest
from streams.erase import Erasure, Erasures
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.auth import Caller
    from api.services import Services
    from consumers.store.models import CollectedDocument, Collection


SOON_S: Final = 10
BEFORE: Final = timedelta(days=1)
"""A job that brings a document was submitted so long before it, at most."""


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


async def delete_documents(services: Services, documents: Sequence[CollectedDocument], tenant: str) -> None:
    """Delete documents: passages, vectors and bytes at once, what the log and the archive know by a job.

    The job is the maintenance chore ``erase``, which also runs by itself every few minutes.
    """
    if not documents:
        return
    traces = [await services.store.collected.traces(one) for one in documents]
    since = min(one.created_at for one in documents) - BEFORE
    erasure = Erasure(
        tenant=tenant, words=tuple({word for one in traces for word in one.words}), flow="documents",
        since_ms=round(since.timestamp() * 1_000), found=tuple({job for one in traces for job in one.jobs}),
    )  # fmt: skip
    # First: if this process dies now, what is left is deleted by asking again.
    await Erasures(services.log, services.blobs.chunks).ask(erasure)
    for one in documents:
        for sha256 in await services.store.collected.remove(one.id, tenant=tenant):
            await services.blobs.delete(sha256, tenant=tenant)


async def erase_soon(services: Services) -> None:
    """Have the chore begin now, where maintenance is installed; else, and when it cannot, it comes by itself."""
    if "maintenance" not in services.flows.by_name:
        return
    request = JobRequest(flow="maintenance", spec={"chore": "erase"}, priority="low", result_ttl_s=3_600)
    with suppress(MillraceError):
        # One for what is deleted within some seconds.
        await submit(services.log, services.flows, request, identity=f"erase {int(time.time()) // SOON_S}")


async def delete_collection(services: Services, collection: Collection, tenant: str) -> int:
    """Delete a collection with all of its documents; answers how many.

    Raises:
        Problem: ``legal-hold``.
    """
    refuse_if_held(collection)
    count = 0
    while documents := (await services.store.collected.page(collection.id, tenant=tenant, limit=200)).items:
        await delete_documents(services, documents, tenant)
        count += len(documents)
    await services.store.collections.remove(collection.id, tenant=tenant)
    await erase_soon(services)
    return count


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
