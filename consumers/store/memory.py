"""The store without a database, for the inline runner: what jobs put is kept in this process.

It has the repositories that a job's own stages use. The others (history, logs, lists, compiled values) are there by
name and refuse, saying what to use instead.
"""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from consumers.store.cleaning import dump_json, load_json
from consumers.store.companies import Companies, company_id_of
from consumers.store.database import Database
from consumers.store.deliveries import Deliveries
from consumers.store.documents import Documents, document_id_of
from consumers.store.models import (
    Company,
    CompiledStatements,
    Delivery,
    Document,
    DocumentStatement,
    JobArtifact,
    Result,
    Suppression,
)
from consumers.store.results import Artifacts, Contributions, Results
from consumers.store.store import Store
from consumers.store.suppressions import Suppressions, normal
from schemas.filings import ExtractedDocument
from streams.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.store.compiling import CompileFn
    from consumers.store.database import Begin
    from consumers.store.deliveries import DeliveryStatus
    from schemas.filings import DownloadedDocument, FilingsResult


class NeedsDatabase(PermanentError):  # noqa: N818 - it says what is wrong
    """Something that only PostgreSQL does was asked of the store in memory."""

    def __init__(self) -> None:
        super().__init__(
            "this needs PostgreSQL and the run has none: start `millrace up` and use `millrace submit` instead of "
            "`millrace run --inline`, or hand run_inline a `store`",
            reason="no_database",
        )


class NoDatabase(Database):
    """In the place of PostgreSQL: every use of it is refused."""

    def __init__(self) -> None:
        self.place = "memory"

    async def close(self) -> None:
        """Nothing is open."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """Refuse.

        Raises:
            NeedsDatabase: Always.
        """
        yield self._refused()

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[Begin]:  # noqa: ARG002 - as of the real one
        """Refuse.

        Raises:
            NeedsDatabase: Always.
        """
        yield self._refused()

    def _refused(self) -> Any:
        raise NeedsDatabase


class MemoryContributions(Contributions):
    """What tasks collect for compile."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], dict[tuple[int, int], tuple[int, Any]]] = {}

    async def put(self, job_id: str, task: int, ordinal: int, payload: Any, *, tenant: str, revision: int) -> bool:
        """Keep a contribution, unless a newer revision's is there."""
        mine = self._kept.setdefault((tenant, job_id), {})
        if mine.get((task, ordinal), (0, None))[0] > revision:
            return False
        mine[task, ordinal] = (revision, _stored(payload))
        return True

    async def trim(self, job_id: str, task: int, count: int, *, tenant: str, revision: int) -> None:
        """Remove what an earlier run of the task left beyond `count`."""
        mine = self._kept.get((tenant, job_id), {})
        for place in [p for p, kept in mine.items() if p[0] == task and p[1] >= count and kept[0] <= revision]:
            del mine[place]

    async def of(self, job_id: str, *, tenant: str) -> AsyncIterator[Any]:
        """Every payload of a job, by task and ordinal."""
        for _, (_, payload) in sorted(self._kept.get((tenant, job_id), {}).items()):
            yield payload


class MemoryResults(Results):
    """Results by revision."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], dict[int, Result]] = {}

    async def put(
        self, job_id: str, payload: Any, *, tenant: str, revision: int, expires_at: datetime | None = None
    ) -> None:
        """Keep the result of a revision."""
        self._kept.setdefault((tenant, job_id), {})[revision] = Result(
            job_id=job_id, revision=revision, tenant=tenant, payload=_stored(payload), created_at=datetime.now(UTC),
            size_bytes=len(dump_json(payload).encode()), expires_at=expires_at,
        )  # fmt: skip

    async def get(self, job_id: str, *, tenant: str, revision: int | None = None) -> Result | None:
        """The result of a revision, the latest when none is named."""
        kept = self._kept.get((tenant, job_id), {})
        return kept.get(max(kept, default=0) if revision is None else revision)


class MemoryArtifacts(Artifacts):
    """The files of jobs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], dict[tuple[int, str], JobArtifact]] = {}

    async def put(
        self, job_id: str, task: int, name: str, *, tenant: str, sha256: str, content_type: str, size_bytes: int,
        url: str | None = None,
    ) -> None:  # fmt: skip
        """Note a file of a task; the same name again replaces it."""
        self._kept.setdefault((tenant, job_id), {})[task, name] = JobArtifact(
            job_id=job_id, task=task, name=name, tenant=tenant, sha256=sha256, content_type=content_type,
            size_bytes=size_bytes, url=url, created_at=datetime.now(UTC),
        )  # fmt: skip

    async def of(self, job_id: str, *, tenant: str) -> list[JobArtifact]:
        """The files of a job by task and name."""
        return [artifact for _, artifact in sorted(self._kept.get((tenant, job_id), {}).items())]


class MemoryDeliveries(Deliveries):
    """Notifications and what became of them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], Delivery] = {}

    async def begin(
        self, idempotency_key: str, *, tenant: str, job_id: str, revision: int, channel: str, target: str,
        deadline_at: datetime | None = None, again: bool = False,
    ) -> Delivery:  # fmt: skip
        """Note that a delivery is about to be tried, and get its record as it was before."""
        now = datetime.now(UTC)
        fields: dict[str, Any] = {
            "idempotency_key": idempotency_key, "tenant": tenant, "job_id": job_id, "revision": revision,
            "channel": channel, "target": target, "deadline_at": deadline_at,
        }  # fmt: skip
        kept = self._kept.setdefault(
            (tenant, idempotency_key), Delivery(**fields, status="pending", attempts=0, created_at=now, changed_at=now)
        )
        before = Delivery(**fields, status=kept.status, attempts=kept.attempts, last_error=kept.last_error)
        before.created_at, before.changed_at = kept.created_at, kept.changed_at
        if kept.status in ("pending", "unknown") or (again and kept.status == "failed"):
            kept.status, kept.attempts = "unknown", kept.attempts + 1
        return before

    async def find(self, idempotency_key: str, *, tenant: str) -> Delivery | None:
        """A delivery's record as it is."""
        return self._kept.get((tenant, idempotency_key))

    async def end(self, idempotency_key: str, status: DeliveryStatus, *, tenant: str, error: str | None = None) -> None:
        """Note how a try ended."""
        kept = self._kept.get((tenant, idempotency_key))
        if kept is not None and kept.status != "sent":
            kept.status, kept.last_error, kept.changed_at = status, error, datetime.now(UTC)

    async def of(self, job_id: str, *, tenant: str) -> list[Delivery]:
        """The deliveries of a job, in the order of their making."""
        return [kept for (whose, _), kept in self._kept.items() if whose == tenant and kept.job_id == job_id]


class MemorySuppressions(Suppressions):
    """Addresses that get no mail."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], Suppression] = {}

    async def find(self, address: str, *, tenant: str) -> Suppression | None:
        """Whether an address is suppressed."""
        return self._kept.get((tenant, normal(address)))

    async def add(self, address: str, *, tenant: str, reason: str, detail: str = "") -> bool:
        """Suppress an address."""
        place = (tenant, normal(address))
        is_new = place not in self._kept
        self._kept.setdefault(place, Suppression(tenant=tenant, address=place[1], reason=reason, detail=detail))
        return is_new

    async def remove(self, address: str, *, tenant: str) -> bool:
        """Let an address have mails again."""
        return self._kept.pop((tenant, normal(address)), None) is not None


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

    async def get(self, company_id: str, *, tenant: str) -> Company | None:
        """A company, None when this tenant has no such one."""
        return self._kept.get((tenant, company_id))

    async def compiled(self, company_id: str, *, tenant: str, revision: int | None = None) -> CompiledStatements | None:
        """The compiled statements, the latest when no revision is named."""
        kept = self._compiled.get((tenant, company_id), [])
        return next((one for one in reversed(kept) if revision in {None, one.revision}), None)

    def keep(self, company_id: str, result: FilingsResult, digest: str, *, tenant: str) -> None:
        """Keep a compile; another set of documents makes another revision."""
        kept = self._compiled.setdefault((tenant, company_id), [])
        payload = _stored(result.model_dump(mode="json"))
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
        kept.extracted = _stored(whole)
        kept.extracted_digest = hashlib.sha256(dump_json([whole, statements]).encode()).hexdigest()
        self._statements[tenant, kept.id] = [
            DocumentStatement(
                document_id=kept.id, ordinal=ordinal, tenant=tenant, kind=payload["kind"],
                currency=payload["currency"], unit_multiplier=payload["unit_multiplier"], payload=_stored(payload),
            )
            for ordinal, payload in enumerate(statements)
        ]  # fmt: skip
        return True

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


class MemoryStore(Store):
    """A `Store` of this process alone, gone with it."""

    contributions: MemoryContributions
    companies: MemoryCompanies
    documents: MemoryDocuments

    def __init__(self) -> None:
        database = NoDatabase()
        super().__init__(database)
        self.contributions = MemoryContributions(database)
        self.results = MemoryResults(database)
        self.artifacts = MemoryArtifacts(database)
        self.deliveries = MemoryDeliveries(database)
        self.suppressions = MemorySuppressions(database)
        self.companies = MemoryCompanies(database)
        self.documents = MemoryDocuments(database)

    async def compile_company(self, company_id: str, compile_fn: CompileFn, *, tenant: str) -> FilingsResult:
        """`consumers.store.compile_company` here: nobody else changes the documents meanwhile."""
        documents = self.documents.committed(company_id, tenant=tenant)
        result = await compile_fn(documents)
        digest = hashlib.sha256("\n".join(one.model_dump_json() for one in documents).encode()).hexdigest()
        self.companies.keep(company_id, result, digest, tenant=tenant)
        return result


def _stored(payload: Any) -> Any:
    """JSON as the database would give it back."""
    return load_json(dump_json(payload))
