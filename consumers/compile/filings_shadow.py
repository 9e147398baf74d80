"""What a shadow run of a `filings` job needs of PostgreSQL: the company, and its documents that other jobs read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from consumers.filings.job import company_key
from consumers.flow import ShadowHooks
from consumers.store.companies import company_id_of
from consumers.store.compiling import committed_documents
from schemas.filings import DownloadedDocument, ExtractedDocument, FilingsSpec

if TYPE_CHECKING:
    from consumers.shadow.gather import Original
    from consumers.store import MemoryStore, Store
    from consumers.store.models import Company


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the company beside the job.

    Attributes:
        company: Its row; None when there is none.
        documents: What was read of all of its documents.
    """

    company_id: str
    company: Company | None
    documents: tuple[ExtractedDocument, ...]


async def load(store: Store, tenant: str, spec: bytes) -> Known:
    """Read it."""
    asked = FilingsSpec.model_validate_json(spec)
    told = asked.company.id if asked.company is not None else None
    company_id = told or company_id_of(tenant, company_key(asked))
    async with store.database.begin() as session:
        documents = await committed_documents(session, company_id, tenant)
    return Known(company_id, await store.companies.get(company_id, tenant=tenant), tuple(documents))


async def seed(store: MemoryStore, original: Original) -> None:
    """Make the company and its documents known: those of the job as downloaded, the others as they were read."""
    known: Known = original.loaded
    if known.company is not None:
        await store.companies.remember(known.company)
    mine = set()
    for stage, data in original.written:
        if stage == "extract":
            document = DownloadedDocument.model_validate_json(data)
            mine.add(document.url)
            await store.documents.put_downloaded(known.company_id, document, tenant=original.tenant)
    runs = {_url(data) for stage, data in original.tasks if stage == "extract"}
    for read in known.documents:
        if read.url in runs:
            continue
        if read.url not in mine:
            await store.documents.remember(known.company_id, read, tenant=original.tenant)
        else:
            await store.documents.put_extracted(known.company_id, read, tenant=original.tenant)


def _url(data: bytes) -> Any:
    return orjson.loads(data).get("url")


hooks = ShadowHooks(load, seed, ignored=frozenset({"news", "llm"}))
