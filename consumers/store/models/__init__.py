"""The tables."""

from consumers.store.models.audit import AuditEntry
from consumers.store.models.base import Base
from consumers.store.models.filings import Company, CompiledStatements, CompiledValue, Document, DocumentStatement
from consumers.store.models.jobs import Job, JobLog, JobLogTotal, TaskEvent
from consumers.store.models.results import Contribution, Delivery, InheritedFailure, JobArtifact, Result, Suppression

__all__ = [
    "AuditEntry",
    "Base",
    "Company",
    "CompiledStatements",
    "CompiledValue",
    "Contribution",
    "Delivery",
    "Document",
    "DocumentStatement",
    "InheritedFailure",
    "Job",
    "JobArtifact",
    "JobLog",
    "JobLogTotal",
    "Result",
    "Suppression",
    "TaskEvent",
]
