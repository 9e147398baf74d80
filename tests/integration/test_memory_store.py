"""The store in memory answers as PostgreSQL does, where it answers at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from consumers.store import MemoryStore, NeedsDatabase, Store, compile_company
from consumers.store.deliveries import DeliveryStatus
from schemas.filings import Cell, Classification, Company, DownloadedDocument, ExtractedDocument, Period, Row, Statement
from schemas.filings_result import FilingsResult, Missing

URL = "https://ir.example/2023.pdf"
GUESS = Classification(document_type="annual_report", confidence=0.6, fiscal_year=2023)


def downloaded(body: str, url: str = URL) -> DownloadedDocument:
    digest = hashlib.sha256(body.encode()).hexdigest()
    return DownloadedDocument(
        url=url, final_url=url, sha256=digest, size_bytes=9, content_type="application/pdf", provisional=GUESS
    )


def extracted(body: str, value: int, url: str = URL) -> ExtractedDocument:
    statement = Statement(
        kind="income_statement",
        currency="EUR",
        periods=(Period(end=date(2023, 12, 31)),),
        rows=(Row(label="Revenue\0", cells=(Cell(value=Decimal(value), text=str(value), page=3),)),),
    )
    return ExtractedDocument(
        url=url,
        sha256=downloaded(body).sha256,
        provisional=GUESS,
        period_end=date(2023, 12, 31),
        statements=(statement,),
    )


async def merge(documents: Sequence[ExtractedDocument], _: object = None) -> FilingsResult:
    told = tuple(
        Missing(what=one.url, reason=str(one.statements[0].rows[0].cells[0].value))
        for one in documents
        if one.statements[0].rows[0].cells[0]
    )
    return FilingsResult(company=Company(name="Acme"), missing=told)


def row(found: Any, *names: str) -> Any:
    return found and tuple(getattr(found, name) for name in names)


def document(found: Any) -> Any:
    return row(found, "id", "url", "status", "reason", "sha256", "etag", "provisional", "confirmed", "period_end",
               "fiscal_year", "extracted", "extracted_digest")  # fmt: skip


async def documents_of(store: Store, job: str, tenant: str) -> list[Any]:
    documents, seen = store.documents, list[Any]()
    company = await store.companies.put("ir.example", tenant=tenant, name="Acme", url="https://ir.example/")
    seen += [company, await store.companies.put("ir.example", tenant=tenant, ticker="ACM")]
    seen.append(row(await store.companies.get(company, tenant=tenant), "key", "name", "ticker", "url"))
    seen.append(await store.companies.get(company, tenant="another"))
    seen.append(await documents.put_extracted(company, extracted("a", 1), tenant=tenant))
    for step in ("refused", "a", "read", "a", "b", "stale", "read b", "refused"):
        if step == "refused":
            seen.append(await documents.put_refused(company, URL, "http_403", tenant=tenant))
        elif step in {"a", "b"}:
            seen.append(await documents.put_downloaded(company, downloaded(step), tenant=tenant))
        else:
            body = "b" if step == "read b" else "a"
            seen.append(await documents.put_extracted(company, extracted(body, 7), tenant=tenant))
        found = await documents.at(company, URL, tenant=tenant)
        assert found is not None
        seen.append((step, document(found)))
        seen.append([row(one, "ordinal", "kind", "currency", "unit_multiplier", "payload")
                     for one in await documents.statements(found.id, tenant=tenant)])  # fmt: skip
    for value in (7, 8):
        seen.append(await compile_company(store, company, merge, tenant=tenant))
        seen.append(row(await store.companies.compiled(company, tenant=tenant), "revision", "payload"))
        await documents.put_downloaded(company, downloaded("c", "https://ir.example/1.pdf"), tenant=tenant)
        await documents.put_extracted(company, extracted("c", value, "https://ir.example/1.pdf"), tenant=tenant)
    seen.append(row(await store.companies.compiled(company, tenant=tenant, revision=1), "revision", "payload"))
    return seen


async def job_of(store: Store, job: str, tenant: str) -> list[Any]:
    seen = list[Any]()
    for task, ordinal, revision in ((2, 0, 1), (1, 1, 1), (1, 0, 2), (1, 0, 1), (1, 2, 1), (2, 0, 1)):
        seen.append(
            await store.contributions.put(job, task, ordinal, {"at": [task, ordinal]}, tenant=tenant, revision=revision)
        )
    await store.contributions.trim(job, 1, 2, tenant=tenant, revision=1)
    seen.append([one async for one in store.contributions.of(job, tenant=tenant)])
    seen.append([one async for one in store.contributions.of(job, tenant="another")])
    seen.append(await store.results.get(job, tenant=tenant))
    for revision in (1, 2, 1):
        await store.results.put(job, {"of": revision, "text": "a\0b"}, tenant=tenant, revision=revision)
    for wanted in (None, 1, 3):
        found = await store.results.get(job, tenant=tenant, revision=wanted)
        seen.append(row(found, "revision", "payload", "size_bytes"))
    for task, name in ((2, "b.csv"), (1, "z.pdf"), (1, "a.pdf"), (2, "b.csv")):
        await store.artifacts.put(
            job, task, name, tenant=tenant, sha256="0" * 64, content_type="text/csv", size_bytes=task
        )
    kept = await store.artifacts.of(job, tenant=tenant)
    seen.append([row(one, "task", "name", "content_type", "size_bytes", "url") for one in kept])
    statuses: tuple[DeliveryStatus | None, ...] = ("pending", None, "sent", "failed")
    for status in statuses:
        begun = await store.deliveries.begin(
            f"{job}/mail", tenant=tenant, job_id=job, revision=1, channel="mail", target="a@b.example"
        )
        seen.append(row(begun, "status", "attempts", "last_error", "channel", "target"))
        if status is not None:
            await store.deliveries.end(f"{job}/mail", status, tenant=tenant, error=status)
    seen.append([row(one, "status", "attempts") for one in await store.deliveries.of(job, tenant=tenant)])
    return seen


@pytest.mark.parametrize("story", [documents_of, job_of])
async def test_the_same_story_is_told_by_both(store: Store, job_id: str, tenant: str, story: Any) -> None:
    assert await story(MemoryStore(), job_id, tenant) == await story(store, job_id, tenant)


async def test_what_memory_cannot_do_says_what_to_use() -> None:
    memory = MemoryStore()
    for asked in (
        memory.companies.page(tenant="t"),
        memory.companies.values("c", tenant="t"),
        memory.documents.page(tenant="t"),
        memory.jobs.page(tenant="t"),
    ):
        with pytest.raises(NeedsDatabase, match="millrace submit"):
            await asked
    await memory.close()
