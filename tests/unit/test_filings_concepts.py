"""The table of concepts, and printed lines that become them by context before spelling."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from consumers.filings.concepts import concepts, lexicon
from consumers.filings.confidence import assess
from consumers.filings.labels import canonical
from consumers.filings.normalise import normalise
from schemas.filings import STATEMENT_KINDS, Cell, Period, Row, RowUnit, Statement, StatementKind

SECOND = Period(end=date(2024, 12, 31), months=12)
FIRST = Period(end=date(2023, 12, 31), months=12)


def statement(kind: StatementKind, *lines: tuple[str, str, tuple[float, ...]], unit: RowUnit = "amount") -> Statement:
    rows = tuple(
        Row(
            label=label,
            section=section,
            unit=unit,
            cells=tuple(Cell(value=Decimal(str(v)), text=str(v), page=1, box=(0, 0, 1, 1)) for v in values),
        )
        for section, label, values in lines
    )
    return Statement(kind=kind, periods=(SECOND, FIRST), rows=rows)


def named(one: Statement) -> dict[str, int]:
    (read,) = normalise([one])
    return {concept: index for index, row in enumerate(read.rows) for concept in row.concepts}


def test_the_table_is_whole() -> None:
    ids = [concept.id for concept in concepts()]
    assert len(ids) == len(set(ids)) >= 120
    for concept in concepts():
        assert concept.statement in STATEMENT_KINDS
        assert concept.sign in ("natural", "expense", "outflow")
        assert concept.synonyms["en"], concept.id


def test_a_synonym_means_one_thing_at_a_place() -> None:
    for kind in STATEMENT_KINDS:
        for word, meanings in lexicon(kind).items():
            general = [c.place for c, _ in meanings if c.template == "general"]
            assert len(general) == len(set(general)), (word, [c.id for c, _ in meanings])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Net cash (used in) provided by operating activities", "Net cash flows from operating activities"),
        ("Profit/(loss) before taxation", "Income before taxes"),
        ("Total stockholders\u2019 equity", "Total shareholders' equity"),
        ("Chiffre d\u2019affaires", "Chiffre d'affaires"),
        ("Cash and cash equivalents, end of the financial year", "Cash and cash equivalents at end of period"),
    ],
)
def test_what_filers_mean_alike_has_one_key(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def test_the_place_tells_what_the_spelling_does_not() -> None:
    found = named(
        statement(
            "balance_sheet",
            ("Non-current assets", "Deferred tax", (5, 5)),
            ("Non-current assets", "Deferred income taxes", (7, 7)),
            ("", "Total non-current assets", (12, 12)),
            ("Current assets", "Cash", (8, 8)),
            ("", "Total assets", (20, 20)),
            ("Equity", "Total equity", (10, 10)),
            ("Non-current liabilities", "Borrowings", (4, 4)),
            ("Non-current liabilities", "Deferred income taxes", (1, 1)),
            ("Non-current liabilities", "Lease liabilities", (1, 1)),
            ("Current liabilities", "Borrowings", (2, 2)),
            ("Current liabilities", "Lease liabilities", (2, 2)),
            ("", "Total equity and liabilities", (20, 20)),
        )
    )
    assert found["deferred_tax_assets"] == 1
    assert found["deferred_tax_liabilities"] == 7
    assert (found["long_term_debt"], found["short_term_debt"]) == (6, 9)
    assert (found["lease_liabilities_non_current"], found["lease_liabilities_current"]) == (8, 10)


def test_an_unlabelled_subtotal_is_what_its_lines_add_up_to() -> None:
    found = named(
        statement(
            "balance_sheet",
            ("Current assets", "Inventories", (30, 20)),
            ("Current assets", "Cash", (12, 11)),
            ("Current assets", "", (42, 31)),
        )
    )
    assert found["total_current_assets"] == 2


def test_totals_without_labels_are_told_by_the_other_side_and_by_what_remains() -> None:
    found = named(
        statement(
            "balance_sheet",
            ("Current assets", "Cash", (40, 30)),
            ("Current assets", "Total current assets", (40, 30)),
            ("", "Property and equipment, net", (60, 50)),
            ("Other assets", "Goodwill", (10, 10)),
            ("Other assets", "Other long-term assets", (5, 4)),
            ("Other assets", "", (15, 14)),
            ("Other assets", "", (115, 94)),
            ("Current liabilities", "Total current liabilities", (35, 24)),
            ("Stockholders' equity", "Total stockholders' equity", (70, 62)),
            ("", "Noncontrolling interests", (10, 8)),
            ("", "", (80, 70)),
            ("", "", (115, 94)),
        )
    )
    assert (found["total_assets"], found["total_liabilities_and_equity"]) == (6, 11)
    assert (found["equity_parent"], found["total_equity"]) == (8, 10)
    assert "total_non_current_assets" not in found


def test_revenue_without_a_label_is_the_sum_under_its_heading() -> None:
    found = named(
        statement(
            "income_statement",
            ("Revenues", "Rooms", (30, 20)),
            ("Revenues", "Food and beverage", (12, 11)),
            ("Revenues", "", (42, 31)),
            ("Expenses", "Rooms", (20, 15)),
        )
    )
    assert found["revenue"] == 2


def test_the_flows_that_add_up_are_the_totals() -> None:
    fails = statement(
        "cash_flow",
        ("Operating activities", "Net cash from operating activities", (45, 38)),
        ("", "Net cash from operating activities of discontinued business", (5, 2)),
        ("", "Net cash provided by operating activities", (50, 40)),
        ("", "Net cash used in investing activities", (-20, -10)),
        ("", "Net cash used in financing activities", (-15, -18)),
        ("", "Net increase in cash", (15, 12)),
    )
    assert named(fails)["cfo"] == 2


@pytest.mark.parametrize(("tax", "sign"), [((25, 20), 1), ((-25, -20), -1)])
def test_the_sign_of_a_tax_is_what_remains_after_it(tax: tuple[float, ...], sign: int) -> None:
    (read,) = normalise(
        [
            statement(
                "income_statement",
                ("", "Profit before tax", (100, 80)),
                ("", "Income tax", tax),
                ("", "Profit for the year", (75, 60)),
            )
        ]
    )
    assert read.rows[1].standard_sign == sign


def test_a_sum_that_fails_is_flagged_and_kept() -> None:
    (read,) = normalise(
        [
            statement(
                "balance_sheet",
                ("Assets", "Total assets", (100, 90)),
                ("Equity and liabilities", "Total liabilities", (60, 55)),
                ("Equity and liabilities", "Total equity", (40, 30)),
            )
        ]
    )
    told = assess(read)
    first, second = told.rows[0].cells
    assert [(int(c.value), c.confidence) for c in (first, second) if c is not None] == [(100, 0.99), (90, 0.5)]
    assert any("2023-12-31" in flag for flag in told.flags)


def test_what_nothing_tells_stays_as_reported() -> None:
    (read,) = normalise([statement("income_statement", ("", "Gain on sale of the old mill wheel", (3, 0)))])
    assert read.rows[0].concepts == ()


def test_every_concept_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "filings.md").read_text(encoding="utf-8")
    assert [concept.id for concept in concepts()] == re.findall(r"^\| `(\w+)` \|.*\|.*\|.*\|.*\|$", text, re.MULTILINE)
