"""The tables."""

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
from consumers.store.models.filings import Company, CompiledStatements, CompiledValue, Document, DocumentStatement
from consumers.store.models.jobs import Job, JobLog, JobLogTotal, TaskEvent
from consumers.store.models.results import Contribution, Delivery, JobArtifact, Result

__all__ = [
    "Audit",
    "AuditIssue",
    "AuditLink",
    "AuditPage",
    "AuditPart",
    "AuditReport",
    "AuditShare",
    "Base",
    "Company",
    "CompiledStatements",
    "CompiledValue",
    "Contribution",
    "Delivery",
    "Document",
    "DocumentStatement",
    "Job",
    "JobArtifact",
    "JobLog",
    "JobLogTotal",
    "Result",
    "TaskEvent",
    "Website",
    "WontFix",
]
