"""The jobs that routes and commands about companies and documents submit: all of them parts of one pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from api.problems import Problem
from schemas.filings import DocumentType, LlmUse
from schemas.jobs import Asked, JobRequest, NotifySpec

if TYPE_CHECKING:
    from consumers.store.models import Company, Document
    from schemas.names import StageName


class TaskOptions(Asked):
    """What may be said beside the company or document; see the spec of `filings`."""

    years: int | tuple[int, ...] | None = None
    document_types: tuple[DocumentType, ...] | None = None
    max_pages: int | None = Field(default=None, ge=1)
    llm: LlmUse | None = None
    priority: str | int | None = None
    notify: NotifySpec | None = None


def company_job(company: Company, options: TaskOptions, *, watch: bool = False, scrape: bool = False) -> JobRequest:
    """Read a company's site; `scrape` ends with the records of its documents, before any is downloaded."""
    spec: dict[str, Any] = {"url": company.url, "company": {"id": company.id}}
    spec |= options.model_dump(include={"years", "document_types", "max_pages", "llm"}, exclude_none=True)
    if watch:
        spec["watch"] = True
    return JobRequest.model_validate(
        {"flow": "filings", "spec": spec, "until_stage": "classify" if scrape else None, **_how(options)}
    )


def collected_job(collection_id: str, document_id: str, only: str | None, options: TaskOptions) -> JobRequest:
    """Read a document of a collection anew, or only embed it; see `only` of the spec of `documents`."""
    spec = {"collection": collection_id, "documents": [document_id], "only": only}
    return JobRequest.model_validate({"flow": "documents", "spec": spec, **_how(options)})


def recompile_job(company: Company, options: TaskOptions) -> JobRequest:
    """Compile a company anew from what was read before."""
    return JobRequest.model_validate(
        {"flow": "filings", "from_stage": "compile", "spec": {"company_id": company.id}, **_how(options)}
    )


def document_job(document: Document, act: str, options: TaskOptions) -> JobRequest:
    """Do a part of the pipeline, or all from download on, with one document.

    Args:
        document: Of a company.
        act: ``process`` (download, extract, compile), ``download``, ``classify``, or ``extract`` (and compile).
        options: Priority and whom to tell.

    Raises:
        Problem: ``not-downloaded``: there is nothing to extract from.
    """
    found = document.found or {}
    source = {
        "url": document.url, "link_text": found.get("link_text") or "", "source_url": found.get("source_url") or "",
        "company_id": document.company_id,
    }  # fmt: skip
    kind = found.get("provisional") or {"document_type": document.provisional or "other", "confidence": 0.0}
    published = {"published_on": document.published_on} if document.published_on is not None else {}
    begins: dict[str, StageName] = {
        "process": "download", "download": "download", "classify": "classify", "extract": "extract",
    }  # fmt: skip
    if act == "classify":
        payload: dict[str, Any] = source
    elif act == "extract":
        if document.sha256 is None:
            raise Problem(
                "not-downloaded",
                f"document {document.id} was not downloaded so far; POST "
                f"/api/v1/tasks/documents/{document.id}/process downloads and reads it",
            )
        payload = {
            **source, **published, "provisional": kind, "final_url": found.get("final_url") or document.url,
            "sha256": document.sha256, "size_bytes": document.size_bytes or 0,
            "content_type": document.content_type or "", "etag": document.etag,
            "last_modified": document.last_modified,
        }  # fmt: skip
    else:
        payload = {**source, **published, "provisional": kind}
    until = act if act in {"download", "classify"} else None
    return JobRequest.model_validate(
        {"flow": "filings", "from_stage": begins[act], "until_stage": until, "spec": payload, **_how(options)}
    )


def _how(options: TaskOptions) -> dict[str, Any]:
    return {
        name: value for name, value in (("priority", options.priority), ("notify", options.notify)) if value is not None
    }
