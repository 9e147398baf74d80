"""What a job did with its documents, summed up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from schemas.filings_handled import DocumentsResult, Handled, HandledDocument

if TYPE_CHECKING:
    from collections.abc import Iterable


def summed_up(collected: Iterable[Any]) -> DocumentsResult:
    """What a job's tasks collected, JSON by task, as its outcome so far; what they learn later wins."""
    documents: dict[str, dict[str, Any]] = {}
    found: set[str] = set()
    created: set[str] = set()
    downloaded: set[str] = set()
    for payload in collected:
        try:
            one = Handled.model_validate(payload)
        except ValidationError:
            continue
        known = documents.setdefault(one.document_id, {})
        known.update(one.model_dump(exclude={"v", "step", "created"}, exclude_defaults=True))
        if one.step == "found":
            found.add(one.document_id)
        if one.step == "downloaded":
            downloaded.add(one.document_id)
        if one.created:
            created.add(one.document_id)
    shown = tuple(
        HandledDocument.model_validate({**known, "created": document_id in created})
        for document_id, known in documents.items()
    )
    only = shown[0] if len(shown) == 1 else None
    return DocumentsResult(
        discovered_count=len(found),
        created_count=len(created),
        downloaded_count=len(downloaded),
        file_path=only.file_path if only else None,
        sha256=only.sha256 if only else None,
        documents=shown,
    )
