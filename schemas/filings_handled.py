"""What the tasks of a `filings` job did with each document, and the outcome of a job that ends before compile."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.filings import DocumentType, Problem, StatementKind
from schemas.stages import Payload


class HandledDocument(BaseModel):
    """A document that a job had to do with, as far as it came.

    Attributes:
        created: It was not known before.
        file_path: Where its bytes are, in the artifact store.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    document_id: str
    url: str
    created: bool = False
    document_type: DocumentType | None = None
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    fiscal_year: int | None = None
    file_path: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    content_type: str | None = None
    not_modified: bool = False
    duplicate_of: str | None = None
    statements_read: tuple[StatementKind, ...] = ()
    problems: tuple[Problem, ...] = ()


class Handled(Payload, HandledDocument):
    """What one task did; collected for compile, and told of a job that ends before it."""

    step: Literal["found", "downloaded", "extracted"]


class Unread(Payload):
    """A page that may list its reports by script and could not be read in a browser; collected by crawl."""

    unread: str
    reason: str


class DocumentsResult(Payload):
    """The outcome of a `filings` job that ends before compile.

    Attributes:
        discovered_count: Documents that the pages link and the job wants.
        created_count: Those of them that were not known before.
        file_path, sha256: Of the document, when there is only one.
    """

    discovered_count: int = 0
    created_count: int = 0
    downloaded_count: int = 0
    file_path: str | None = None
    sha256: str | None = None
    documents: tuple[HandledDocument, ...] = ()
