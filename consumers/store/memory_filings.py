"""Companies, documents and answers of language models without a database: see `consumers.store.memory`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from consumers.llm.metered import Spent
from consumers.store.cleaning import dump_json, load_json
from consumers.store.companies import Companies, company_id_of
from consumers.store.crawled import CrawledPages
from consumers.store.documents import Documents, document_id_of, found_of
from consumers.store.llm import LlmAnswers
from consumers.store.models import Company, CompiledStatements, CrawledPage, Document, DocumentStatement
from schemas.filings import ExtractedDocument

if TYPE_CHECKING:
    from consumers.llm.client import Usage
    from consumers.store.database import Database
    from schemas.filings import ClassifiedDocument, DownloadedDocument
    from schemas.filings_result import FilingsResult


class MemoryCompanies(Companies):
    """Companies and their compiled statements."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], Company] = {}
        self._compiled: dict[tuple[str, str], list[CompiledStatements]] = {}

    async def put(
        self, key: str, *, tenant: str, name: str | None = None, ticker: str | None = None, url: str | None = None
    ) -> str:
        """Make a company known or add what is known of it; answers its id."""
        company_id = company_id_of(tenant, key)
        known = self._kept.setdefault(
            (tenant, company_id), Company(id=company_id, tenant=tenant, key=key, created_at=datetime.now(UTC))
        )
        known.name, known.ticker, known.url = name or known.name, ticker or known.ticker, url or known.url
        return company_id

    async def claim(self, company_id: str, job_id: str, *, tenant: str, instead_of: str | None) -> str:  # noqa: ARG002
        """Be the job that reads a company's site: nobody else is here."""
        return job_id

    async def get(self, company_id: str, *, tenant: str) -> Company | None:
        """A company, None when this tenant has no such one."""
        return self._kept.get((tenant, company_id))

    async def compiled(self, company_id: str, *, tenant: str, revision: int | None = None) -> CompiledStatements | None:
        """The compiled statements, the latest when no revision is named."""
        kept = self._compiled.get((tenant, company_id), [])
        return next((one for one in reversed(kept) if revision in {None, one.revision}), None)

    async def remember(self, company: Company) -> None:
        """Know a company as another store has it."""
        told = {name: getattr(company, name) for name in Company.__table__.columns.keys()}  # noqa: SIM118 - no dict
        self._kept[company.tenant, company.id] = Company(**told)

    def keep(self, company_id: str, result: FilingsResult, digest: str, *, tenant: str) -> None:
        """Keep a compile; another set of documents makes another revision."""
        kept = self._compiled.setdefault((tenant, company_id), [])
        payload = stored(result.model_dump(mode="json"))
        if kept and kept[-1].digest == digest:
            kept[-1].payload = payload
            return
        kept.append(
            CompiledStatements(
                company_id=company_id, revision=len(kept) + 1, tenant=tenant, digest=digest, payload=payload,
                compiled_at=datetime.now(UTC),
            )
        )  # fmt: skip


class MemoryDocuments(Documents):
    """Documents by address."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], Document] = {}
        self._statements: dict[tuple[str, str], list[DocumentStatement]] = {}

    async def put_found(
        self, company_id: str, document: ClassifiedDocument, *, tenant: str, job_id: str
    ) -> tuple[str, bool]:
        """Note that a page links a document; answers its id, and whether this job made its record."""
        is_new = (tenant, document_id_of(company_id, document.url)) not in self._kept
        kept = self._at(company_id, document.url, tenant)
        kept.found, kept.published_on = found_of(document), document.published_on
        if is_new:
            kept.found_by = job_id
            kept.provisional, kept.fiscal_year = document.provisional.document_type, document.provisional.fiscal_year
        return kept.id, kept.found_by == job_id

    async def twin(
        self, company_id: str, document_id: str, sha256: str, *, tenant: str, job_id: str
    ) -> Document | None:
        """Another document of the company with the same bytes, that is read in the place of this one."""
        same = [
            kept
            for (whose, _), kept in self._kept.items()
            if (whose, kept.company_id, kept.sha256, kept.duplicate_of) == (tenant, company_id, sha256, None)
            and kept.id != document_id
            and (kept.status == "extracted" or (kept.status, kept.found_by) == ("downloaded", job_id))
            and (kept.status == "extracted" or kept.id < document_id)
        ]
        return min(same, key=lambda kept: (kept.status != "extracted", kept.id), default=None)

    async def put_duplicate(self, document_id: str, of: str | None, *, tenant: str) -> None:
        """Note that a document has the bytes of another, or that it has not any more."""
        kept = self._kept.get((tenant, document_id))
        if kept is not None:
            kept.duplicate_of = of
            if of is not None:
                kept.status, kept.extracted, kept.extracted_digest = "downloaded", None, None

    async def put_downloaded(self, company_id: str, document: DownloadedDocument, *, tenant: str) -> str:
        """Note that the bytes are in the artifact store; other bytes than before are to be read anew."""
        kept = self._at(company_id, document.url, tenant)
        if kept.status == "found":
            kept.fiscal_year = document.provisional.fiscal_year
        if kept.sha256 != document.sha256 or kept.status in ("found", "refused"):
            kept.sha256, kept.status, kept.reason = document.sha256, "downloaded", None
            kept.confirmed = kept.period_end = kept.extracted = kept.extracted_digest = None
            self._statements.pop((tenant, kept.id), None)
        kept.content_type, kept.size_bytes = document.content_type, document.size_bytes
        kept.etag, kept.last_modified = document.etag, document.last_modified
        kept.provisional = document.provisional.document_type
        kept.found, kept.published_on = found_of(document), document.published_on
        return kept.id

    async def put_extracted(self, company_id: str, document: ExtractedDocument, *, tenant: str) -> bool:
        """Commit what was read; False when the document is unknown or has other bytes by now."""
        kept = self._kept.get((tenant, document_id_of(company_id, document.url)))
        if kept is None or kept.sha256 != document.sha256:
            return False
        whole = document.model_dump(mode="json")
        statements = whole.pop("statements")
        kept.status, kept.reason = "extracted", None
        kept.confirmed = document.confirmed.document_type if document.confirmed else None
        kept.fiscal_year, kept.period_end = document.classification.fiscal_year, document.period_end
        kept.extracted = stored(whole)
        kept.extracted_digest = hashlib.sha256(dump_json([whole, statements]).encode()).hexdigest()
        self._statements[tenant, kept.id] = [
            DocumentStatement(
                document_id=kept.id, ordinal=ordinal, tenant=tenant, kind=payload["kind"],
                currency=payload["currency"], unit_multiplier=payload["unit_multiplier"], payload=stored(payload),
            )
            for ordinal, payload in enumerate(statements)
        ]  # fmt: skip
        return True

    async def remember(self, company_id: str, document: ExtractedDocument, *, tenant: str) -> None:
        """Know what was read from a document, as another store has it."""
        self._at(company_id, document.url, tenant).sha256 = document.sha256
        await self.put_extracted(company_id, document, tenant=tenant)

    async def put_refused(self, company_id: str, url: str, reason: str, *, tenant: str) -> str:
        """Note that a document could not be had; one that was read before stays as it is."""
        kept = self._at(company_id, url, tenant)
        if kept.status in ("found", "refused"):
            kept.status, kept.reason = "refused", reason
        return kept.id

    async def get(self, document_id: str, *, tenant: str) -> Document | None:
        """A document, None when this tenant has no such one."""
        return self._kept.get((tenant, document_id))

    async def statements(self, document_id: str, *, tenant: str) -> list[DocumentStatement]:
        """The statements read from a document, in its order."""
        return self._statements.get((tenant, document_id), [])

    def committed(self, company_id: str, *, tenant: str) -> list[ExtractedDocument]:
        """What compile reads, by address."""
        found = [
            kept
            for (whose, _), kept in self._kept.items()
            if whose == tenant and kept.company_id == company_id and kept.status == "extracted"
        ]
        return [
            ExtractedDocument.model_validate(
                {**(kept.extracted or {}), "statements": [s.payload for s in self._statements[tenant, kept.id]]}
            )
            for kept in sorted(found, key=lambda kept: kept.url)
        ]

    def _at(self, company_id: str, url: str, tenant: str) -> Document:
        document_id = document_id_of(company_id, url)
        return self._kept.setdefault(
            (tenant, document_id),
            Document(
                id=document_id, tenant=tenant, flow="filings", company_id=company_id, url=url, status="found",
                changed_at=datetime.now(UTC),
            ),
        )  # fmt: skip


class MemoryCrawledPages(CrawledPages):
    """Pages as they were read last: none were."""

    async def at(self, company_id: str, url: str, *, tenant: str, version: int) -> CrawledPage | None:  # noqa: ARG002
        """None."""
        return None

    async def put(self, company_id: str, url: str, **kept: Any) -> None:
        """Nothing is kept beyond the run."""


class MemoryLlmAnswers(LlmAnswers):
    """What language models answered in this run."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._answers: dict[tuple[str, str], Any] = {}
        self._calls: dict[tuple[str, str, int, str], Usage] = {}

    async def get(self, digest: str, *, tenant: str) -> Any | None:
        """An answer as JSON; None when it was not asked before."""
        return self._answers.get((tenant, digest))

    async def put(self, digest: str, answer: Any, *, tenant: str, model: str) -> None:  # noqa: ARG002
        """Keep an answer."""
        self._answers[tenant, digest] = stored(answer)

    async def note(self, job_id: str, task: int, digest: str, usage: Usage, *, tenant: str, model: str) -> None:  # noqa: ARG002
        """Count a call on a job; twice is once."""
        self._calls.setdefault((tenant, job_id, task, digest), usage)

    async def spent(self, job_id: str, *, tenant: str) -> Spent:
        """What a job has used so far."""
        return _summed([usage for (whose, job, *_), usage in self._calls.items() if (whose, job) == (tenant, job_id)])

    async def spent_this_month(self, tenant: str) -> Spent:
        """What this run has used: it knows of no other."""
        return _summed([usage for (whose, *_), usage in self._calls.items() if whose == tenant])


def _summed(mine: list[Usage]) -> Spent:
    costs = [usage.cost_usd for usage in mine if usage.cost_usd is not None]
    return Spent(
        len(mine), sum(usage.input_tokens for usage in mine), sum(usage.output_tokens for usage in mine),
        sum(costs, Decimal(0)) if costs else None,
    )  # fmt: skip


def stored(payload: Any) -> Any:
    """JSON as the database would give it back."""
    return load_json(dump_json(payload))
