"""The store without a database, for the inline runner: what jobs put is kept in this process.

It has the repositories that a job's own stages use. The others (history, logs, lists, compiled values) are there by
name and refuse, saying what to use instead.
"""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from consumers.store.cleaning import dump_json
from consumers.store.database import Database
from consumers.store.deliveries import Deliveries
from consumers.store.memory_audits import MemoryAuditReports, MemoryAudits, MemoryWebsites
from consumers.store.memory_filings import (
    MemoryCompanies,
    MemoryCrawledPages,
    MemoryDocuments,
    MemoryLlmAnswers,
    stored,
)
from consumers.store.models import Delivery, JobArtifact, Result, Suppression
from consumers.store.results import Artifacts, Contributions, Results
from consumers.store.store import Store
from consumers.store.suppressions import Suppressions, normal
from streams.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.store.compiling import CompileFn
    from consumers.store.database import Begin
    from consumers.store.deliveries import DeliveryStatus
    from schemas.filings_result import FilingsResult


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
        mine[task, ordinal] = (revision, stored(payload))
        return True

    async def trim(self, job_id: str, task: int, count: int, *, tenant: str, revision: int) -> None:
        """Remove what an earlier run of the task left beyond `count`."""
        mine = self._kept.get((tenant, job_id), {})
        for place in [p for p, kept in mine.items() if p[0] == task and p[1] >= count and kept[0] <= revision]:
            del mine[place]

    async def of(
        self, job_id: str, *, tenant: str, kinds: Collection[str] = (), tasks: Collection[int] | None = None
    ) -> AsyncIterator[Any]:
        """Payloads of a job, by task and ordinal."""
        for (task, _), (_, payload) in sorted(self._kept.get((tenant, job_id), {}).items()):
            if (not kinds or payload.get("kind") in kinds) and (tasks is None or task in tasks):
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
            job_id=job_id, revision=revision, tenant=tenant, payload=stored(payload), created_at=datetime.now(UTC),
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
        self.crawled = MemoryCrawledPages(database)
        self.llm = MemoryLlmAnswers(database)
        self.websites = MemoryWebsites(database)
        self.audits = MemoryAudits(database)
        self.audit_reports = MemoryAuditReports(database)

    async def compile_company(self, company_id: str, compile_fn: CompileFn, *, tenant: str) -> FilingsResult:
        """`consumers.store.compile_company` here: nobody else changes the documents meanwhile."""
        documents = self.documents.committed(company_id, tenant=tenant)
        result = await compile_fn(documents, {})
        digest = hashlib.sha256("\n".join(one.model_dump_json() for one in documents).encode()).hexdigest()
        self.companies.keep(company_id, result, digest, tenant=tenant)
        return result
