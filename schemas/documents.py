"""The `documents` flow at its edges: the spec of a job, what its stages hand on, its result, what search answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.jobs import Asked
from schemas.stages import Payload

MAX_SOURCES = 10_000
"""Most URLs or uploads of one job."""

DocumentStatus = Literal["pending", "extracted", "indexed", "refused"]


def _http_url(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} must begin with http:// or https:// and name a host")
    return url.strip()


HttpUrl = Annotated[str, Field(max_length=2_000), AfterValidator(_http_url)]


class DocumentsSpec(Asked):
    """What a `documents` job is asked: at least one source.

    Attributes:
        collection: Name or id of the collection; one with this name is made when there is none.
        urls: Addresses of documents.
        site: A page from which a site is read, pages and files; only what lies under its folder.
        uploads: Ids that ``POST /uploads`` gave.
        documents: Ids of documents of the collection to read and index anew.
        reindex: Whether all of the collection is indexed anew, with its present settings.
        only: ``text`` reads and cuts, found by words from then on; ``vectors`` embeds what was read; None does both.
        max_pages: Most pages of the site.
    """

    collection: str = Field(min_length=1, max_length=200)
    urls: tuple[HttpUrl, ...] = Field(default=(), max_length=MAX_SOURCES)
    site: HttpUrl | None = None
    uploads: tuple[str, ...] = Field(default=(), max_length=MAX_SOURCES)
    documents: tuple[str, ...] = Field(default=(), max_length=MAX_SOURCES)
    reindex: bool = False
    only: Literal["text", "vectors"] | None = None
    max_pages: int = Field(default=50, ge=1, le=10_000)

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if not (self.urls or self.site or self.uploads or self.documents or self.reindex):
            raise ValueError("name at least one source: urls, site, uploads, documents or reindex")
        return self


class Sources(Payload):
    """Into crawl: where the job begins, or one page of its site.

    Attributes:
        url: A page of the site; None for the beginning, which looks at the spec.
    """

    url: str | None = None
    depth: int = Field(default=0, ge=0)


class FoundFile(Payload):
    """Into classify: a file that may be a document; either an address or an upload."""

    url: str | None = None
    upload: str | None = None
    name: str = ""


class ClassifiedFile(FoundFile):
    """Into download: what the address lets expect."""

    expected: str | None = None


class StoredFile(Payload):
    """Into extract: a document whose bytes are in the artifact store."""

    document_id: str


class IndexedDocument(BaseModel):
    """What became of one document.

    Attributes:
        status: ``indexed`` when it can be found; ``extracted`` by its words only; ``unchanged`` when it was there
            already, as it is.
        text_length: Characters.
        calls: Requests to the embedding endpoint; `tokens` as it counts them.
        cut: What was left out of it, and why.
    """

    model_config = ConfigDict(frozen=True)

    status: Literal["indexed", "extracted", "unchanged"]
    document_id: str
    name: str
    url: str | None = None
    kind: str
    text_length: int
    pages: int | None = None
    chunks_created: int
    embeddings_generated: int
    cut: tuple[str, ...] = ()
    calls: int = 0
    tokens: int = 0


class DocumentsResult(BaseModel):
    """The result of a `documents` job.

    Attributes:
        status: Of the document, when the job was about one; else None, as `document_id`.
        embedding: Name of the model that the passages were embedded with.
        cost: What the embedding endpoint was asked: texts, tokens as it counts them, calls.
    """

    status: Literal["indexed", "extracted", "unchanged"] | None = None
    document_id: str | None = None
    collection_id: str
    collection: str
    embedding: str
    documents: tuple[IndexedDocument, ...]
    text_length: int
    chunks_created: int
    embeddings_generated: int
    cost: dict[str, int] = Field(default_factory=dict)


class TextExtracted(BaseModel):
    """The result of reading one document (``only: text``), to the letter of the task queue before Millrace."""

    status: Literal["extracted", "indexed", "unchanged"]
    document_id: str
    text_length: int
    chunks_created: int


class EmbeddingsGenerated(BaseModel):
    """The result of embedding one document (``only: vectors``), to the same letter."""

    status: Literal["indexed", "unchanged"]
    document_id: str
    embeddings_generated: int


class EmbeddingChoice(Asked):
    """How the passages of a collection are embedded.

    Attributes:
        provider: ``hashed`` needs no model; ``endpoint`` is the operator's OpenAI-compatible one; ``local`` a
            sentence-transformers model in the operator's folder.
        model: Of the endpoint; its own default when None.
    """

    provider: Literal["hashed", "endpoint", "local"] = "hashed"
    model: str | None = Field(default=None, max_length=200)


class CollectionSettings(Asked):
    """What a collection may decide.

    Attributes:
        chunk_chars: Longest passage, in characters.
        overlap_chars: How far a passage reaches back into the one before.
        stays_here: Nothing of it may be sent to an endpoint on another machine.
        legal_hold: Nothing of it may be deleted.
    """

    chunk_chars: int = Field(default=4_000, ge=200, le=20_000)
    overlap_chars: int = Field(default=400, ge=0, le=5_000)
    embedding: EmbeddingChoice = EmbeddingChoice()
    stays_here: bool = False
    legal_hold: bool = False

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.overlap_chars > self.chunk_chars // 2:
            raise ValueError("overlap_chars must be at most half of chunk_chars")
        return self


class CollectionRequest(Asked):
    """The body of ``POST /collections`` and ``PUT /collections/{id}``."""

    name: str = Field(min_length=1, max_length=200)
    settings: CollectionSettings = CollectionSettings()


class SearchRequest(Asked):
    """The body of a search.

    Attributes:
        query: What is looked for: words, or ``"a phrase"``.
        limit: Most passages.
        documents: Only in these documents.
        kinds: Only in these kinds of files: ``pdf``, ``docx``, ...
        since: Only documents that came at or after this instant (ISO 8601).
        until: Only documents that came before.
        fold: Whether near-duplicates of a better passage are folded into it.
    """

    query: str = Field(min_length=1, max_length=2_000)
    limit: int = Field(default=10, ge=1, le=100)
    documents: tuple[str, ...] = Field(default=(), max_length=1_000)
    kinds: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    fold: bool = True


class AnswerRequest(Asked):
    """The body of a question.

    Attributes:
        passages: How many of the best passages the model is given.
    """

    question: str = Field(min_length=1, max_length=2_000)
    passages: int = Field(default=8, ge=1, le=30)


class Passage(BaseModel):
    """A passage that was found.

    Attributes:
        start: Offset of its first character in the document's text; `end` is after the last.
        highlights: ``[start, end)`` within `text` of what was looked for.
        score: Of reciprocal rank fusion, higher is better; only comparable within one answer.
        found_by: ``exact``, ``text``, ``vector``.
        folded: Passages that say nearly the same: document id and ordinal.
        image: Where the page is shown with the passage marked, for PDFs.
    """

    document_id: str
    document: str
    kind: str
    url: str | None
    ordinal: int
    text: str
    start: int
    end: int
    first_page: int | None
    last_page: int | None
    section: str | None
    score: float
    found_by: tuple[str, ...]
    highlights: tuple[tuple[int, int], ...]
    folded: tuple[tuple[str, int], ...] = ()
    image: str | None = None


class Citation(BaseModel):
    """A span of a document that supports a statement.

    Attributes:
        statement: Index of the statement, from 0.
        quote: The document's text from `start` to `end`.
        first_page: Of the passage that it stands in; so `last_page`, `section` and `image`.
    """

    statement: int
    document_id: str
    document: str
    ordinal: int
    quote: str
    start: int
    end: int
    first_page: int | None
    last_page: int | None
    section: str | None
    image: str | None


class CollectionAnswer(BaseModel):
    """An answer to a question.

    Attributes:
        answer: The statements joined; None when there is none, and then `reason` says why: ``no_passages``,
            ``not_in_passages``, or ``unsupported`` when the model said what the passages do not.
        citations: At least one for each statement.
        dropped: Quotes and statements of the model that were not believed.
        usage: Tokens.
    """

    collection_id: str
    question: str
    answer: str | None = None
    reason: Literal["no_passages", "not_in_passages", "unsupported"] | None = None
    detail: str | None = None
    statements: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    dropped: int = 0
    usage: dict[str, int] = Field(default_factory=dict)
    cost_usd: Decimal | None = None


def settings_of(stored: dict[str, Any]) -> CollectionSettings:
    """The settings of a collection, as they were kept."""
    return CollectionSettings.model_validate(stored)
