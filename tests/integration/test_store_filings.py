"""Companies, documents, and the compile that sees all of them."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from consumers.store import Store, compile_company
from schemas.filings import Cell, Classification, Company, DownloadedDocument, ExtractedDocument, Period, Row, Statement
from schemas.filings_result import CompiledCell, CompiledRow, CompiledStatement, FilingsResult
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROVISIONAL = Classification(document_type="annual_report", confidence=0.6, fiscal_year=2023)
CONFIRMED = Classification(document_type="annual_report", confidence=0.9, fiscal_year=2024)


def sha_of(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def url_of(year: int) -> str:
    return f"https://ir.example/{year}.pdf"


def downloaded(year: int, body: str = "") -> DownloadedDocument:
    return DownloadedDocument(
        url=url_of(year),
        final_url=url_of(year),
        sha256=sha_of(f"{year}{body}"),
        size_bytes=1_000,
        content_type="application/pdf",
        etag='"1"',
        provisional=PROVISIONAL,
    )


def extracted(year: int, body: str = "", value: int = 100) -> ExtractedDocument:
    statement = Statement(
        kind="income_statement",
        currency="EUR",
        unit_multiplier=1_000_000,
        periods=(Period(end=date(year, 12, 31), months=12),),
        rows=(Row(label="Revenue", cells=(Cell(value=Decimal(value), text=str(value), page=3),)),),
    )
    return ExtractedDocument(
        url=url_of(year),
        sha256=sha_of(f"{year}{body}"),
        provisional=PROVISIONAL,
        confirmed=CONFIRMED,
        period_end=date(year, 12, 31),
        statements=(statement,),
    )


async def commit(store: Store, company_id: str, tenant: str, year: int) -> None:
    await store.documents.put_downloaded(company_id, downloaded(year), tenant=tenant)
    assert await store.documents.put_extracted(company_id, extracted(year), tenant=tenant)


async def merge(documents: Sequence[ExtractedDocument], _: object = None) -> FilingsResult:
    """One line, one column a document."""
    ends = tuple(statement.periods[0].end for document in documents for statement in document.statements)
    cells = tuple(
        CompiledCell(value=cell.value, sha256=document.sha256, page=cell.page)
        for document in documents
        for statement in document.statements
        if (cell := statement.rows[0].cells[0]) is not None
    )
    statement = CompiledStatement(
        kind="income_statement",
        currency="EUR",
        unit_multiplier=1_000_000,
        period_ends=ends,
        rows=(CompiledRow(key="revenue", label="Revenue", cells=cells),),
    )
    return FilingsResult(company=Company(name="Acme"), statements=(statement,))


def years_of(result: FilingsResult) -> set[int]:
    return {end.year for end in result.statements[0].period_ends}


@pytest.fixture
async def company_id(store: Store, tenant: str) -> str:
    return await store.companies.put("ir.example", tenant=tenant, name="Acme", url="https://ir.example/")


async def test_a_company_is_one_however_often_it_is_put(store: Store, tenant: str, company_id: str) -> None:
    assert await store.companies.put("ir.example", tenant=tenant, ticker="ACM") == company_id
    assert await store.companies.put("ir.example", tenant="rival") != company_id
    company = await store.companies.get(company_id, tenant=tenant)
    assert company is not None
    assert (company.name, company.ticker, company.url) == ("Acme", "ACM", "https://ir.example/")
    assert await store.companies.get(company_id, tenant="rival") is None
    assert [company.id for company in (await store.companies.page(tenant=tenant)).items] == [company_id]


async def test_both_classes_of_a_document_are_kept(store: Store, tenant: str, company_id: str) -> None:
    await commit(store, company_id, tenant, 2024)
    document = await store.documents.at(company_id, url_of(2024), tenant=tenant)
    assert document is not None
    assert (document.status, document.provisional, document.confirmed) == (
        "extracted",
        "annual_report",
        "annual_report",
    )
    assert (document.fiscal_year, document.period_end, document.etag) == (2024, date(2024, 12, 31), '"1"')
    [statement] = await store.documents.statements(document.id, tenant=tenant)
    assert (statement.kind, statement.currency, statement.unit_multiplier) == ("income_statement", "EUR", 1_000_000)
    assert await store.documents.get(document.id, tenant="rival") is None
    assert await store.documents.statements(document.id, tenant="rival") == []
    assert (await store.documents.page(tenant="rival", company_id=company_id)).items == []


async def test_the_same_bytes_again_keep_what_was_read_and_others_do_not(
    store: Store, tenant: str, company_id: str
) -> None:
    await commit(store, company_id, tenant, 2024)
    document_id = await store.documents.put_downloaded(company_id, downloaded(2024), tenant=tenant)
    kept = await store.documents.get(document_id, tenant=tenant)
    assert kept is not None
    assert kept.status == "extracted"
    await store.documents.put_downloaded(company_id, downloaded(2024, "revised"), tenant=tenant)
    anew = await store.documents.get(document_id, tenant=tenant)
    assert anew is not None
    assert (anew.status, anew.extracted, anew.sha256) == ("downloaded", None, sha_of("2024revised"))
    assert await store.documents.statements(document_id, tenant=tenant) == []


async def test_what_was_read_from_old_bytes_is_refused(store: Store, tenant: str, company_id: str) -> None:
    await store.documents.put_downloaded(company_id, downloaded(2024, "revised"), tenant=tenant)
    assert not await store.documents.put_extracted(company_id, extracted(2024), tenant=tenant)
    assert not await store.documents.put_extracted(company_id, extracted(1999), tenant=tenant)
    assert not await store.documents.put_extracted(company_id, extracted(2024, "revised"), tenant="rival")
    assert await store.documents.put_extracted(company_id, extracted(2024, "revised"), tenant=tenant)


async def test_a_refusal_is_noted_and_does_not_undo_a_reading(store: Store, tenant: str, company_id: str) -> None:
    await store.documents.put_refused(company_id, url_of(2020), "http_403", tenant=tenant)
    refused = await store.documents.at(company_id, url_of(2020), tenant=tenant)
    assert refused is not None
    assert (refused.status, refused.reason) == ("refused", "http_403")
    await commit(store, company_id, tenant, 2020)
    await store.documents.put_refused(company_id, url_of(2020), "http_403", tenant=tenant)
    read = await store.documents.at(company_id, url_of(2020), tenant=tenant)
    assert read is not None
    assert (read.status, read.reason) == ("extracted", None)


async def test_compiled_values_are_rows(store: Store, tenant: str, company_id: str) -> None:
    await commit(store, company_id, tenant, 2023)
    await commit(store, company_id, tenant, 2024)
    result = await compile_company(store, company_id, merge, tenant=tenant)
    kept = await store.companies.compiled(company_id, tenant=tenant)
    assert kept is not None
    assert FilingsResult.model_validate(kept.payload) == result
    values = await store.companies.values(company_id, tenant=tenant, kind="income_statement")
    assert [(value.row_key, value.period_end.year, value.value) for value in values] == [
        ("revenue", 2024, Decimal(100)),
        ("revenue", 2023, Decimal(100)),
    ]
    assert await store.companies.compiled(company_id, tenant="rival") is None
    assert await store.companies.values(company_id, tenant="rival") == []


async def test_a_revision_for_each_set_of_documents(store: Store, tenant: str, company_id: str) -> None:
    revisions = []
    for year in (2023, 2023, 2024):
        await commit(store, company_id, tenant, year)
        await compile_company(store, company_id, merge, tenant=tenant)
        kept = await store.companies.compiled(company_id, tenant=tenant)
        assert kept is not None
        revisions.append(kept.revision)
    assert revisions == [1, 1, 2]


async def test_two_compiles_with_a_document_committed_in_between_end_with_all(
    store: Store, store_url: str, tenant: str, company_id: str
) -> None:
    await commit(store, company_id, tenant, 2022)
    started, committed = asyncio.Event(), asyncio.Event()
    running = 0
    seen: list[int] = []

    async def slow(documents: Sequence[ExtractedDocument], _: object = None) -> FilingsResult:
        nonlocal running
        running += 1
        assert running == 1, "two compiles of a company at once"
        seen.append(len(documents))
        started.set()
        await committed.wait()
        running -= 1
        return await merge(documents)

    async with Store.connect(store_url) as another:
        first = asyncio.create_task(compile_company(store, company_id, slow, tenant=tenant))
        await started.wait()
        second = asyncio.create_task(compile_company(another, company_id, slow, tenant=tenant))
        await commit(store, company_id, tenant, 2023)
        await commit(store, company_id, tenant, 2024)
        committed.set()
        results = await asyncio.gather(first, second)
    assert [years_of(result) for result in results] == [{2022, 2023, 2024}] * 2
    assert seen == [1, 3, 3]
    kept = await store.companies.compiled(company_id, tenant=tenant)
    assert kept is not None
    assert kept.revision == 1
    assert len(await store.companies.values(company_id, tenant=tenant)) == 3


async def test_more_compiles_than_connections_all_end(store_url: str, tenant: str, company_id: str) -> None:
    async with Store.connect(store_url, pool_size=2) as store:
        await commit(store, company_id, tenant, 2024)
        results = await asyncio.gather(*(compile_company(store, company_id, merge, tenant=tenant) for _ in range(12)))
    assert {year for result in results for year in years_of(result)} == {2024}


async def test_no_transaction_is_open_while_compiling(store: Store, tenant: str, company_id: str) -> None:
    await commit(store, company_id, tenant, 2024)
    states: list[str] = []

    async def look(documents: Sequence[ExtractedDocument], _: object = None) -> FilingsResult:
        async with store.database.begin() as session:
            connection = await session.connection()
            found = await connection.exec_driver_sql(
                "SELECT state FROM pg_stat_activity WHERE application_name = 'millrace' AND pid <> pg_backend_pid() "
                "AND datname = current_database()"
            )
            states.extend(found.scalars())
        return await merge(documents)

    await compile_company(store, company_id, look, tenant=tenant)
    assert states
    assert set(states) == {"idle"}


async def test_a_failing_or_cancelled_compile_lets_the_lock_go(store: Store, tenant: str, company_id: str) -> None:
    await commit(store, company_id, tenant, 2024)
    begun = asyncio.Event()

    async def fail(*_: object) -> FilingsResult:
        raise OSError("not the database's fault")

    async def hang(*_: object) -> FilingsResult:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(OSError, match="fault"):
        await compile_company(store, company_id, fail, tenant=tenant)
    hanging = asyncio.create_task(compile_company(store, company_id, hang, tenant=tenant))
    await begun.wait()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    async with asyncio.timeout(5):
        await compile_company(store, company_id, merge, tenant=tenant)


async def test_documents_that_never_rest_end_the_compile(store: Store, tenant: str, company_id: str) -> None:
    years = iter(range(1950, 2050))

    async def disturbed(documents: Sequence[ExtractedDocument], _: object = None) -> FilingsResult:
        await commit(store, company_id, tenant, next(years))
        return await merge(documents)

    with pytest.raises(TransientError, match="20 rounds"):
        await compile_company(store, company_id, disturbed, tenant=tenant)
