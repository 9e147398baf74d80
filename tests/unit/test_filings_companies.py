"""Reports of several companies on one page are told apart; those of one company stay together."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal

from consumers.filings.companies import SHARED_FIGURES, by_company
from consumers.filings.whole import compile_documents
from schemas.filings import Cell, Classification, Company, ExtractedDocument, Period, Row, Statement

ANNUAL = Classification(document_type="annual_report", confidence=0.9)


def report(name: str | None, year: int, seed: int, *, lines: int = SHARED_FIGURES) -> ExtractedDocument:
    """A report of two years whose figures depend on the company (`seed`) and the year."""

    def cell(line: int, of: int) -> Cell:
        value = Decimal(seed * 1_000_000 + of * 100 + line)
        return Cell(value=value, text=str(value), page=1)

    periods = tuple(Period(end=date(of, 12, 31), months=12) for of in (year, year - 1))
    rows = tuple(Row(label=f"line {line}", cells=(cell(line, year), cell(line, year - 1))) for line in range(lines))
    statement = Statement(kind="income_statement", currency="USD", periods=periods, rows=rows)
    return ExtractedDocument(
        url=f"http://site/{seed}-{year}.pdf", sha256=f"{seed:032x}{year:032x}", provisional=ANNUAL, confirmed=ANNUAL,
        company_name=name, period_end=date(year, 12, 31), statements=(statement,),
    )  # fmt: skip


def urls(groups: tuple[tuple[ExtractedDocument, ...], ...]) -> list[set[str]]:
    return [{document.url.rpartition("/")[2] for document in group} for group in groups]


def test_names_differ_in_writing_only() -> None:
    documents = [report("Arden Mills plc", 2020, 1), report("ARDEN MILLS PLC", 2023, 2)]
    assert len(by_company(documents)) == 1


def test_a_company_that_changed_its_name_is_held_together_by_its_figures() -> None:
    assert len(by_company([report("Face Corp", 2020, 1), report("Meta Corp", 2021, 1)])) == 1


def test_companies_are_told_apart_in_any_order() -> None:
    documents = [report("Arden plc", 2020, 1), report("Arden plc", 2021, 1), report("Bolt AG", 2021, 2)]
    for order in itertools.permutations(documents):
        assert urls(by_company(order)) == [{"1-2020.pdf", "1-2021.pdf"}, {"2-2021.pdf"}]


def test_a_report_between_two_others_joins_them() -> None:
    documents = [report("Old Name", 2019, 1), report("New Name", 2021, 1), report(None, 2020, 1)]
    assert len(by_company(documents)) == 1


def test_a_few_figures_in_common_join_nobody() -> None:
    few = SHARED_FIGURES - 1
    assert len(by_company([report("Arden", 2020, 1, lines=few), report("Bolt", 2021, 1, lines=few)])) == 2


def test_what_has_no_name_goes_with_the_only_company() -> None:
    assert len(by_company([report("Arden", 2023, 1), report(None, 2012, 1)])) == 1
    assert len(by_company([report(None, 2023, 1), report(None, 2012, 1)])) == 1


def test_what_has_no_statements_goes_with_the_company_it_names() -> None:
    bare = report("Bolt AG", 2019, 9).model_copy(update={"statements": ()})
    groups = by_company([bare, report("Arden", 2020, 1), report("Arden", 2021, 1), report("Bolt", 2021, 2)])
    assert urls(groups)[1] == {"2-2021.pdf", "9-2019.pdf"}
    assert by_company([]) == ((),)


def test_each_company_is_compiled_for_itself() -> None:
    documents = [report("Arden", 2021, 1), report("Bolt", 2021, 2)]
    result = compile_documents(documents, None, None, [], {})
    assert [statement.company for statement in result.statements] == ["Arden", "Bolt"]
    assert {document.company for document in result.documents} == {"Arden", "Bolt"}
    assert not result.restatements


def test_the_company_that_the_caller_names_comes_first_and_the_others_stay_apart() -> None:
    documents = [report("Arden", 2021, 1), report("Bolt", 2021, 2)]
    told = compile_documents(documents, Company(name="Bolt plc"), None, [], {})
    assert [statement.company for statement in told.statements] == ["Bolt plc", "Arden"]
    assert (told.company.name, told.restatements) == ("Bolt plc", ())


def test_a_name_that_no_report_bears_takes_all_reports() -> None:
    documents = [report("Arden", 2021, 1), report("Bolt", 2021, 2)]
    told = compile_documents(documents, Company(name="Corvid"), None, [], {})
    assert (len(told.statements), told.statements[0].company, told.company.name) == (1, None, "Corvid")
    assert len(told.restatements) == 2 * SHARED_FIGURES
