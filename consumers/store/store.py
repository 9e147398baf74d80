"""The store: PostgreSQL behind one small class for each thing that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from consumers.store.audit import Audit
from consumers.store.audit_reports import AuditReports
from consumers.store.audits import Audits
from consumers.store.cleanup import Cleanup
from consumers.store.collections import CollectedDocuments, Collections
from consumers.store.companies import Companies
from consumers.store.corrections import Corrections
from consumers.store.crawled import CrawledPages
from consumers.store.database import POOL_SIZE, Database
from consumers.store.deliveries import Deliveries
from consumers.store.documents import Documents
from consumers.store.erasing import Erasing
from consumers.store.happenings import Happenings
from consumers.store.inherited import Inherited
from consumers.store.jobs import Jobs
from consumers.store.lead_erasure import LeadErasure
from consumers.store.lead_lists import LeadLists
from consumers.store.lead_suppressions import LeadSuppressions
from consumers.store.lead_upkeep import LeadUpkeep
from consumers.store.leads import Leads
from consumers.store.llm import LlmAnswers
from consumers.store.logs import Logs
from consumers.store.memos import Memos
from consumers.store.passages import Passages
from consumers.store.past_runs import PastRuns
from consumers.store.results import Artifacts, Contributions, Results
from consumers.store.searching import Searching
from consumers.store.suppressions import Suppressions
from consumers.store.vectors import Vectors
from consumers.store.websites import Websites

if TYPE_CHECKING:
    from types import TracebackType


class Store:
    """What jobs leave behind, every read by tenant. Make it with `connect`, close it when done.

    Attributes:
        jobs: History.
        audit: What operators did.
        logs: The jobs' logs.
        memos: What stages computed.
        past_runs: What ended jobs needed.
        contributions: What compile reads.
        results: By job and revision.
        artifacts: The jobs' files.
        inherited: What replayed jobs take over from their origins.
        deliveries: Notifications.
        suppressions: Addresses that get no mail.
        happenings: What a digest tells.
        cleanup: Removes what is old.
        erasing: Removes what mentions somebody or something.
        companies: With their compiled statements.
        corrections: What people said about compiled cells.
        crawled: Pages as they were read last.
        llm: What language models answered, and what it cost.
        websites: That are audited.
        audits: With their pages, issues and measured parts.
        audit_reports: And the links that share them.
        documents: Of companies, with what was read from them.
        collections: And what was uploaded for them.
        collected: Documents of collections.
        leads: The lead book.
        lead_lists: What is kept out of it by name.
        lead_suppressions: Who was erased and stays out.
        lead_erasure: Erases people everywhere in the database.
        lead_upkeep: Pages and duplicates of the lead book.
        passages: Of collected documents.
        vectors: Of passages, by model.
        searching: Finds passages.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.audit = Audit(database)
        self.logs = Logs(database)
        self.memos = Memos(database)
        self.past_runs = PastRuns(database)
        self.contributions = Contributions(database)
        self.results = Results(database)
        self.artifacts = Artifacts(database)
        self.inherited = Inherited(database)
        self.deliveries = Deliveries(database)
        self.suppressions = Suppressions(database)
        self.happenings = Happenings(database)
        self.cleanup = Cleanup(database)
        self.erasing = Erasing(database)
        self.companies = Companies(database)
        self.documents = Documents(database)
        self.corrections = Corrections(database)
        self.crawled = CrawledPages(database)
        self.llm = LlmAnswers(database)
        self.websites = Websites(database)
        self.audits = Audits(database)
        self.audit_reports = AuditReports(database)
        self.collections = Collections(database)
        self.collected = CollectedDocuments(database)
        self.passages = Passages(database)
        self.vectors = Vectors(database)
        self.searching = Searching(database)
        self.leads = Leads(database)
        self.lead_lists = LeadLists(database)
        self.lead_suppressions = LeadSuppressions(database)
        self.lead_erasure = LeadErasure(database)
        self.lead_upkeep = LeadUpkeep(database)

    @classmethod
    def connect(cls, database_url: str, *, pool_size: int = POOL_SIZE) -> Self:
        """A store on ``postgresql://``. Nothing is sent before it is used; `upgrade` makes the tables.

        Args:
            database_url: As libpq understands it.
            pool_size: Most connections at a time.
        """
        return cls(Database(database_url, pool_size=pool_size))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self.database.close()
