from datetime import date
from decimal import Decimal

import pytest

from consumers.filings.numbers import read_amount, uses_decimal_comma
from consumers.filings.periods import fiscal_year_end, mentions, months_in, to_date
from consumers.filings.vocabulary import currency_in, unit_in


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("54,928", "54928"),
        ("(48,996)", "-48996"),
        ("$54,928", "54928"),
        ("$(1,340)", "-1340"),
        ("($1,340)", "-1340"),
        ("—", "0"),
        ("$ \u2013", "0"),
        ("24.60", "24.60"),
        ("0.19p", "0.19"),
        ("-811", "-811"),
        ("\u2212811", "-811"),
        ("811-", "-811"),
        ("1\u00a0211\u00a0411", "1211411"),
        ("1'234.5", "1234.5"),
        ("1,23,45,678", "12345678"),
        ("1,573.0", "1573.0"),
        ("123*", "123"),
    ],
)
def test_amounts(text: str, value: str) -> None:
    assert read_amount(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(",
        ")",
        "13)",
        "(13",
        "Note",
        "12%",
        "1st",
        "000",
        "£000",
        "007",
        "1,2,3",
        "1,23",
        "12,34",
        "1.2.3",
        "9" * 16,
        "10-K",
    ],
)
def test_other_words_are_not_amounts(text: str) -> None:
    assert read_amount(text) is None


def test_decimal_commas() -> None:
    assert read_amount("1.234.567", decimal_comma=True) == 1234567
    assert read_amount("1,34", decimal_comma=True) == Decimal("1.34")
    assert uses_decimal_comma("Umsatz 1.211.411 1.101.011 je Aktie 1,34")
    assert uses_decimal_comma("Chiffre d'affaires 1 211,4 1 101,0")
    assert not uses_decimal_comma("Sales 1,211,411 1,101,011 per share 1.34")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("December 31, 2022", date(2022, 12, 31)),
        ("31 December 2022", date(2022, 12, 31)),
        ("31. Dezember 2022", date(2022, 12, 31)),
        ("31.12.2022", date(2022, 12, 31)),
        ("2022-12-31", date(2022, 12, 31)),
        ("31 décembre 2022", date(2022, 12, 31)),
        ("31 de diciembre de 2022", date(2022, 12, 31)),
        ("January 28, 2023", date(2023, 1, 28)),
        ("February 2024", date(2024, 2, 29)),
        ("1er janvier 2023", date(2023, 1, 1)),
    ],
)
def test_dates(text: str, end: date) -> None:
    (found,) = mentions(text)
    assert found.year is not None
    assert found.month is not None
    assert to_date(found.year, found.month, found.day) == end


def test_parts_of_dates() -> None:
    assert [m.year for m in mentions("2022 2021 2020")] == [2022, 2021, 2020]
    assert [m.year for m in mentions("FY23")] == [2023]
    assert [m.year for m in mentions("2022\u00b9 2021*")] == [2022, 2021]
    (day,) = mentions("Years ended December 31,")
    assert (day.year, day.month, day.day) == (None, 12, 31)
    assert mentions("note 12.2 and 2,022 shares and 201,999") == []
    assert mentions("99.99.2022") == [] or all(m.month is None for m in mentions("99.99.2022"))


def test_periods_and_covers() -> None:
    assert months_in("Three months ended March 31,") == 3
    assert months_in("Years Ended December 31,") == 12
    assert months_in("52 weeks ended") == 12
    assert months_in("13 Weeks Ended") == 3
    assert months_in("December 31,") is None
    assert fiscal_year_end("For the fiscal year ended May 31, 2021\nAs of July 9, 2021 there were") == date(2021, 5, 31)
    assert fiscal_year_end("no date at all") is None


@pytest.mark.parametrize(
    ("text", "unit", "currency"),
    [
        ("(in millions, except per share data)", 1_000_000, None),
        ("All figures in USD \u2018000, except share amount", 1_000, "USD"),
        ("Tabular amounts are in thousands of Canadian dollars", 1_000, "CAD"),
        ("2022 £000\u2019s", 1_000, "GBP"),
        ("2024 £m", 1_000_000, "GBP"),
        ("in TEUR", 1_000, "EUR"),
        ("in Mio. CHF", 1_000_000, "CHF"),
        ("en millions d'euros", 1_000_000, "EUR"),
        ("Millions, Except Per Share Amounts", 1_000_000, None),
        ("€ bn", 1_000_000_000, "EUR"),
        ("Revenue", None, None),
    ],
)
def test_units_and_currencies(text: str, unit: int | None, currency: str | None) -> None:
    assert (unit_in(text), currency_in(text)) == (unit, currency)


@pytest.mark.parametrize(
    ("text", "years"),
    [("2022-23", [2023]), ("FY 2022/23", [2023]), ("2019-2021", [2019, 2021]), ("2022-12-31", [2022])],
)
def test_a_year_that_spans_two_is_the_one_it_ends_in(text: str, years: list[int]) -> None:
    assert [mention.year for mention in mentions(text)] == years


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("(All amounts in \u20b9 crore)", 10_000_000), ("Rs. in lakhs", 100_000), ("(miles de euros)", 1_000),
        ("(en millions d\u2019euros)", 1_000_000), ("(millones de euros)", 1_000_000), ("(en milliers d'euros)", 1_000),
    ],
)  # fmt: skip
def test_units_of_other_countries(text: str, unit: int) -> None:
    assert unit_in(text) == unit
