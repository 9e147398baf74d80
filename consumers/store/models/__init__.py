"""The tables."""

from consumers.store.models.audit import AuditEntry
from consumers.store.models.audits import (
    Audit,
    AuditIssue,
    AuditLink,
    AuditPage,
    AuditPart,
    AuditReport,
    AuditShare,
    Website,
    WontFix,
)
from consumers.store.models.base import Base
from consumers.store.models.documents import (
    CachedVector,
    CollectedDocument,
    Collection,
    PassageRow,
    PassageVector,
    Upload,
)
from consumers.store.models.filings import (
    CellCorrection,
    Company,
    CompiledStatements,
    CompiledValue,
    CrawledPage,
    Document,
    DocumentStatement,
)
from consumers.store.models.jobs import Job, JobLog, JobLogTotal, TaskEvent
from consumers.store.models.leads import Lead, LeadBlock, LeadEvent, LeadKey, LeadSuppression
from consumers.store.models.llm import LlmAnswer, LlmCall
from consumers.store.models.memos import MemoEntry, MemoUse
from consumers.store.models.results import Contribution, Delivery, InheritedFailure, JobArtifact, Result, Suppression

__all__ = [
    "Audit",
    "AuditEntry",
    "AuditIssue",
    "AuditLink",
    "AuditPage",
    "AuditPart",
    "AuditReport",
    "AuditShare",
    "Base",
    "CachedVector",
    "CellCorrection",
    "CollectedDocument",
    "Collection",
    "Company",
    "CompiledStatements",
    "CompiledValue",
    "Contribution",
    "CrawledPage",
    "Delivery",
    "Document",
    "DocumentStatement",
    "InheritedFailure",
    "Job",
    "JobArtifact",
    "JobLog",
    "JobLogTotal",
    "Lead",
    "LeadBlock",
    "LeadEvent",
    "LeadKey",
    "LeadSuppression",
    "LlmAnswer",
    "LlmCall",
    "MemoEntry",
    "MemoUse",
    "PassageRow",
    "PassageVector",
    "Result",
    "Suppression",
    "TaskEvent",
    "Upload",
    "Website",
    "WontFix",
]
