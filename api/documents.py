"""Documents for routes and commands: one id space for all flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.problems import Problem
from api.views import API
from schemas.filings import Statement

if TYPE_CHECKING:
    from api.services import Services
    from consumers.store.models import Document, DocumentStatement


def document_view(document: Document) -> dict[str, Any]:
    """A document as it is shown: how it was found, what it is by its link and by its content, and how far it came."""
    at = f"{API}/documents/{document.id}"
    found, read = document.found or {}, document.extracted or {}
    tasks = f"{API}/tasks/documents/{document.id}"
    return {
        "id": document.id, "flow": document.flow, "company_id": document.company_id, "url": document.url,
        "status": document.status, "reason": document.reason,
        "document_type": document.confirmed or document.provisional,
        "provisional": found.get("provisional") or _bare(document.provisional),
        "confirmed": read.get("confirmed") or _bare(document.confirmed),
        "fiscal_year": document.fiscal_year, "period_end": document.period_end,
        "published_on": document.published_on, "link_text": found.get("link_text"),
        "source_url": found.get("source_url"), "sha256": document.sha256, "content_type": document.content_type,
        "size_bytes": document.size_bytes, "page_count": read.get("page_count"),
        "problems": read.get("problems") or [], "duplicate_of": document.duplicate_of,
        "found_by": document.found_by, "created_at": document.created_at, "changed_at": document.changed_at,
        "links": {
            "self": at, "file": f"{at}/file", "statements": f"{at}/statements",
            **{name: f"{tasks}/{name}" for name in ("process", "download", "classify", "extract")},
        },
    }  # fmt: skip


async def document_at(services: Services, document_id: str, tenant: str) -> Document:
    """A document of the tenant.

    Raises:
        Problem: ``not-found``.
    """
    found = await services.store.documents.get(document_id, tenant=tenant)
    if found is None:
        raise Problem(
            "not-found", f"there is no document {document_id[:100]!r}; GET /api/v1/documents lists those that there are"
        )
    return found


def statement_view(document: Document, kept: DocumentStatement) -> dict[str, Any]:
    """A statement as the document prints it; each cell has an id, by which its page can be drawn."""
    statement = Statement.model_validate(kept.payload)
    shown: dict[str, Any] = statement.model_dump(mode="json")
    for row_number, row in enumerate(shown["rows"]):
        for column, cell in enumerate(row["cells"]):
            if cell is not None:
                cell["id"] = f"{kept.ordinal}.{row_number}.{column}"
                cell["image"] = f"{API}/documents/{document.id}/pages/{cell['page']}.png?cell={cell['id']}"
    return shown


def _bare(kind: str | None) -> dict[str, Any] | None:
    return {"document_type": kind} if kind is not None else None
