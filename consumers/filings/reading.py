"""From a first pass over a document's pages to its statements; the same for PDF and HTML."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from consumers.filings.confidence import assess
from consumers.filings.find_pages import Candidate, PageLook, choose, look
from consumers.filings.normalise import normalise
from consumers.filings.numbers import uses_decimal_comma
from consumers.filings.periods import fiscal_year_end
from consumers.filings.spreads import side_by_side
from consumers.filings.table import PageLines, Table, read_table
from consumers.filings.vocabulary import currency_in, unit_in
from schemas.filings import STATEMENT_KINDS, Period, Problem, Statement, StatementKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from consumers.filings.facts import Fact

HEAD_PAGES: Final = 3
"""First pages that tell what the document is."""

HEAD_CHARS: Final = 12_000
"""Characters of them that are kept."""


_CURRENCY_CHARS: Final = 800
"""Characters of a page in which a currency is looked for."""

_NAMES: Final[dict[StatementKind, str]] = {
    "income_statement": "an income statement",
    "balance_sheet": "a balance sheet",
    "cash_flow": "a cash flow statement",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says: the text of its head, its statements, and what could not be read."""

    head: str
    page_count: int
    year_end: date | None
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...]
    facts: tuple[Fact, ...] = ()


@dataclass(slots=True)
class Survey:
    """What a first pass keeps of the pages: looks and counts, no text but the head's."""

    looks: dict[int, PageLook] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    without_text: list[int] = field(default_factory=list)
    garbled: list[int] = field(default_factory=list)
    with_decimal_comma: int = 0
    with_dollar_sign: int = 0
    currencies: Counter[str] = field(default_factory=Counter)

    def add(self, page: int, text: str) -> None:
        """Take in the text of a page."""
        if len(self.head) < HEAD_PAGES:
            self.head.append(text[:HEAD_CHARS])
        self.looks[page] = look(page, text)
        self.with_decimal_comma += uses_decimal_comma(text)
        self.with_dollar_sign += "$" in text
        code = currency_in(text[:_CURRENCY_CHARS])
        if code:
            self.currencies[code] += 1


@dataclass(frozen=True, slots=True)
class _Found:
    first: Candidate
    pages: tuple[int, ...]
    table: Table


def read_statements(
    survey: Survey,
    lines: Callable[[int], PageLines],
    places: str,
    known: Mapping[StatementKind, Candidate] | None = None,
) -> Reading:
    """Choose the statements' pages and read them as printed.

    Args:
        survey: The first pass over all pages.
        lines: The lines of a page with their places; called for chosen pages only.
        places: How many there were to choose from, as in "96 pages", for the message when none fits.
        known: Where statements are, when something surer than titles tells.

    Returns:
        A reading whose rows have no concepts yet: see `understood`.
    """
    head = "\n".join(survey.head)[:HEAD_CHARS]
    year_end = fiscal_year_end(head)
    chosen = {**choose(survey.looks), **(known or {})}
    found: dict[StatementKind, _Found] = {}
    problems: list[Problem] = []
    for kind in STATEMENT_KINDS:
        first = chosen.get(kind)
        if first is None:
            problems.append(_not_found(kind, survey, places))
            continue
        pages = [part for page in first.pages for part in side_by_side(lines(page), kind)]
        table = read_table(pages, kind, year_end, decimal_comma=_decimal_comma(pages, survey))
        if table is None:
            detail = f"page {first.pages[0]} is titled {first.title!r}, but no dates could be put above its columns"
            problems.append(Problem(reason="columns_not_understood", detail=detail, statement=kind))
        else:
            found[kind] = _Found(first, tuple(dict.fromkeys(page.page for page in pages)), table)
    statements = _statements(found, survey, head)
    ends = [period.end for statement in statements for period in statement.periods]
    return Reading(head, 0, max(ends, default=year_end), statements, tuple(problems))


def understood(
    statements: Iterable[Statement], sure_of: Callable[[Statement], list[list[float | None]]] | None = None
) -> tuple[Statement, ...]:
    """The statements of a document with the concepts of their rows and the confidence of their cells.

    Args:
        sure_of: How sure the reader of characters was of each cell of a statement, for pages read as pictures.
    """
    named = normalise(tuple(statements))
    return tuple(assess(statement, sure_of(statement) if sure_of is not None else None) for statement in named)


def _not_found(kind: StatementKind, survey: Survey, places: str) -> Problem:
    detail = f"none of its {places} is titled as {_NAMES[kind]} and carries its lines"
    if survey.without_text or survey.garbled:
        detail += (
            f"; {len(survey.without_text)} pages have no text and {len(survey.garbled)} decode to control characters, "
            "so OCR may find it: install tesseract-ocr and read it again"
        )
    return Problem(reason="statement_not_found", detail=detail, statement=kind)


def _decimal_comma(pages: Sequence[PageLines], survey: Survey) -> bool:
    text = "\n".join(line.text for page in pages for line in page.lines)
    return uses_decimal_comma(text) or (survey.with_decimal_comma > len(survey.looks) / 2 and "," in text)


def _statements(found: Mapping[StatementKind, _Found], survey: Survey, head: str) -> tuple[Statement, ...]:
    units = {kind: unit_in(each.table.head) for kind, each in found.items()}
    currencies = {kind: currency_in(each.table.head) for kind, each in found.items()}
    shared_unit = next((unit for unit in units.values() if unit), None)
    shared_currency = next((code for code in currencies.values() if code), None)
    made = []
    for kind, each in found.items():
        flags = list(each.table.flags)
        unit = units[kind] or shared_unit
        if unit is None:
            flags.append("no unit is printed with the statements; amounts are taken as printed")
        currency = currencies[kind] or shared_currency
        if currency is None:
            currency, why = _likely_currency(survey, head)
            flags.append(why)
        made.append(
            Statement(
                kind=kind, title=each.first.title[:200], currency=currency, unit_multiplier=unit or 1, pages=each.pages,
                periods=_of_kind(kind, each.table.periods), rows=each.table.rows, flags=tuple(flags),
            )
        )  # fmt: skip
    return tuple(made)


def _of_kind(kind: StatementKind, periods: tuple[Period, ...]) -> tuple[Period, ...]:
    """A balance is of a day, whatever length of time the lines around it speak of."""
    if kind != "balance_sheet":
        return periods
    return tuple(period.model_copy(update={"months": None}) for period in periods)


def _likely_currency(survey: Survey, head: str) -> tuple[str | None, str]:
    """The currency when no statement names one: a bare $ is the dollar that the report speaks of most."""
    dollars = [code for code, _ in survey.currencies.most_common() if code.endswith("D")]
    if survey.with_dollar_sign:
        if "securities and exchange commission" in head.lower() and "CAD" not in dollars[:1]:
            return "USD", "currency: a bare $ in a filing with the U.S. Securities and Exchange Commission"
        if dollars:
            return dollars[0], f"currency: a bare $, and {dollars[0]} is the dollar the report names most"
        return "USD", "currency: a bare $, taken as USD"
    if survey.currencies:
        code = survey.currencies.most_common(1)[0][0]
        return code, f"currency: not printed with the statements, {code} is what the report names most"
    return None, "currency: the report names none"
