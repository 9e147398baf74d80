"""The tables."""

from consumers.store.models.base import Base
from consumers.store.models.documents import (
    CachedVector,
    CollectedDocument,
    Collection,
    PassageRow,
    PassageVector,
    Upload,
)
from consumers.store.models.filings import Company, CompiledStatements, CompiledValue, Document, DocumentStatement
from consumers.store.models.jobs import Job, JobLog, JobLogTotal, TaskEvent
from consumers.store.models.results import Contribution, Delivery, JobArtifact, Result

__all__ = [
    "Base",
    "CachedVector",
    "CollectedDocument",
    "Collection",
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
    "PassageRow",
    "PassageVector",
    "Result",
    "TaskEvent",
    "Upload",
]
