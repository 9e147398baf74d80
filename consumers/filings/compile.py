"""Many filings of one company -> its statements over the years.

The latest filing that prints a value wins; every value that a later filing prints differently is listed as a
restatement. Rows are matched by their normalised label. What is doubtful is flagged, what is absent is named.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from consumers.filings.checks import check
from consumers.filings.match_rows import Filed, Line, lines_over_filings
from consumers.filings.normalise import normalise
from schemas.filings import (
    STATEMENT_KINDS,
    Company,
    DocumentType,
    ExtractedDocument,
    Frequency,
    Period,
    Statement,
    StatementKind,
)
from schemas.filings_result import (
    CompiledCell,
    CompiledRow,
    CompiledStatement,
    DocumentSummary,
    FilingsResult,
    Missing,
    Restatement,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class _Series:
    """Which documents and columns make the statements of a frequency."""

    document_type: DocumentType
    months: frozenset[int | None]
    kinds: tuple[StatementKind, ...]


_SERIES: Final[dict[Frequency, _Series]] = {
    "annual": _Series("annual_report", frozenset({None, 12}), STATEMENT_KINDS),
    "quarterly": _Series("quarterly_report", frozenset({3}), STATEMENT_KINDS),
    "year_to_date": _Series("quarterly_report", frozenset({6, 9}), ("income_statement", "cash_flow")),
}
_READ: Final = frozenset(series.document_type for series in _SERIES.values())
_LONGEST_QUARTER: Final = timedelta(days=190)
"""Between the ends of two quarters that are printed; the fourth is often printed in the annual report only."""


def compile_filings(
    documents: Iterable[ExtractedDocument],
    company: Company | None = None,
    years: int | Sequence[int] | None = None,
    missing: Iterable[Missing] = (),
) -> FilingsResult:
    """Compile the statements of a company, annual and quarterly ones apart.

    Args:
        documents: Everything that was extracted, in any order; annual and quarterly reports are compiled.
        company: What the caller knows of it; a missing name is taken from the reports.
        years: Fiscal years to show, or the latest n; None for all.
        missing: What earlier stages could not get, as in a refused download.

    Returns:
        The same result for the same documents in any order.
    """
    known = sorted((_named_lines(d) for d in {d.sha256: d for d in documents}.values()), key=_age)
    statements: list[CompiledStatement] = []
    restatements: list[Restatement] = []
    gaps: list[Missing] = [*missing, *_unread(known)]
    for frequency, series in _SERIES.items():
        documents_of = [d for d in known if d.classification.document_type == series.document_type]
        for kind in series.kinds:
            for currency, filed in _by_currency(documents_of, kind).items():
                lines, kept = _lines(filed, gaps, kind, frequency)
                ends = _shown(kept, years)
                if frequency != "annual" and not ends:
                    continue
                rows = tuple(_row(line, ends) for line in lines)
                rows = tuple(row for row in rows if any(cell is not None for cell in row.cells))
                multiplier = filed[-1].statement.unit_multiplier
                statements.append(
                    CompiledStatement(
                        kind=kind, frequency=frequency, currency=currency, unit_multiplier=multiplier,
                        period_ends=ends, rows=rows, checks=check(kind, ends, rows),
                    )
                )  # fmt: skip
                restatements += [found for line in lines for found in _restated(kind, frequency, line, ends)]
    gaps += _absent_years([one for one in statements if one.frequency == "annual"], years)
    gaps += _absent_quarters(one for one in statements if one.frequency == "quarterly")
    return FilingsResult(
        company=_named(company, known),
        statements=tuple(statements),
        restatements=tuple(restatements),
        documents=tuple(_summary(document) for document in reversed(known)),
        missing=tuple(dict.fromkeys(gaps)),
    )


def _named_lines(document: ExtractedDocument) -> ExtractedDocument:
    """A document whose rows have concepts; one that was read before there were any gets them now."""
    if any(row.concepts for statement in document.statements for row in statement.rows):
        return document
    return document.model_copy(update={"statements": normalise(document.statements)})


def _age(document: ExtractedDocument) -> tuple[date, str]:
    """Older filings first: by what they report on, then by address so that the order never changes."""
    year = document.classification.fiscal_year
    return document.period_end or (date(year, 12, 31) if year else date.min), document.url + document.sha256


def _by_currency(annual: Sequence[ExtractedDocument], kind: StatementKind) -> dict[str | None, list[Filed]]:
    groups: dict[str | None, list[Filed]] = {}
    for document in annual:
        for statement in document.statements:
            if statement.kind == kind:
                groups.setdefault(statement.currency, []).append(Filed(document, statement))
    return groups


def _lines(
    filed: Sequence[Filed], gaps: list[Missing], kind: StatementKind, frequency: Frequency
) -> tuple[list[Line], set[date]]:
    """The lines of a statement over its filings, and the period ends of its columns of this frequency."""
    ends: set[date] = set()
    usable = []
    for each in filed:
        periods = each.statement.periods
        columns = [i for i, period in enumerate(periods) if _is_of(frequency, kind, period)]
        if columns:
            usable.append(Filed(each.document, _only(each.statement, columns)))
            ends |= {periods[i].end for i in columns}
        if frequency == "annual" and len(columns) < len(periods):
            reason = "columns over less than a year are left out of the annual statements"
            gaps.append(Missing(what=f"{kind} columns", reason=reason, url=each.document.url))
    return lines_over_filings(usable, filed[-1].statement.unit_multiplier), ends


def _is_of(frequency: Frequency, kind: StatementKind, period: Period) -> bool:
    """A balance has no length: those of quarterly reports are quarterly."""
    if kind == "balance_sheet" and frequency == "quarterly":
        return period.months in {None, 3}
    return period.months in _SERIES[frequency].months


def _only(statement: Statement, columns: Sequence[int]) -> Statement:
    rows = tuple(row.model_copy(update={"cells": tuple(row.cells[i] for i in columns)}) for row in statement.rows)
    return statement.model_copy(update={"periods": tuple(statement.periods[i] for i in columns), "rows": rows})


def _shown(ends: set[date], years: int | Sequence[int] | None) -> tuple[date, ...]:
    newest_first = sorted(ends, reverse=True)
    if years is None:
        return tuple(newest_first)
    if isinstance(years, int):
        return tuple(newest_first[:years])
    return tuple(end for end in newest_first if end.year in years)


def _row(line: Line, ends: Sequence[date]) -> CompiledRow:
    cells: list[CompiledCell | None] = []
    for end in ends:
        told = line.values.get(end)
        if not told:
            cells.append(None)
            continue
        last = told[-1].reported
        restated = any(earlier.differs(told[-1]) for earlier in told)
        cells.append(
            CompiledCell(
                value=last.value, sha256=last.sha256, page=last.page, restated=restated, box=last.box, label=last.label
            )
        )
    return CompiledRow(
        key=line.key, label=line.row.label, level=line.row.level, section=line.row.section, unit=line.row.unit,
        cells=tuple(cells), flags=tuple(dict.fromkeys(line.flags)), concepts=line.row.concepts,
        standard_sign=line.row.standard_sign,
    )  # fmt: skip


def _restated(kind: StatementKind, frequency: Frequency, line: Line, ends: Sequence[date]) -> Iterable[Restatement]:
    for end in ends:
        told = line.values.get(end, [])
        changes = tuple(after.reported for before, after in itertools.pairwise(told) if after.differs(before))
        if changes:
            first = told[0].reported
            yield Restatement(
                statement=kind, frequency=frequency, key=line.key, label=line.row.label, period_end=end, first=first,
                changes=changes,
            )  # fmt: skip


def _unread(documents: Iterable[ExtractedDocument]) -> Iterable[Missing]:
    for document in documents:
        if document.confirmed is not None and document.confirmed.document_type not in _READ:
            continue
        year = document.classification.fiscal_year
        for problem in document.problems:
            # A trading update may well print no statements; an annual report has all three.
            if problem.statement is not None and document.classification.document_type != "annual_report":
                continue
            what = problem.statement or "document"
            reason = f"{problem.reason}: {problem.detail}" if problem.detail else problem.reason
            yield Missing(what=f"{what} {year}" if year else what, reason=reason, url=document.url)


def _absent_years(statements: Sequence[CompiledStatement], years: int | Sequence[int] | None) -> Iterable[Missing]:
    """Fiscal years that should be there: those asked for, and those between the first and the last."""
    for kind in STATEMENT_KINDS:
        have = {end.year for s in statements if s.kind == kind for end in s.period_ends}
        if isinstance(years, int):
            newest = max((end.year for s in statements for end in s.period_ends), default=None)
            wanted = set(range(newest - years + 1, newest + 1)) if newest else set()
        elif years is not None:
            wanted = set(years)
        else:
            wanted = set(range(min(have), max(have) + 1)) if have else set()
        for year in sorted(wanted - have, reverse=True):
            yield Missing(what=f"{kind} {year}", reason="no annual report that was read prints this year")


def _absent_quarters(statements: Iterable[CompiledStatement]) -> Iterable[Missing]:
    for statement in statements:
        for later, earlier in itertools.pairwise(statement.period_ends):
            if later - earlier > _LONGEST_QUARTER:
                yield Missing(
                    what=f"quarterly {statement.kind} between {earlier} and {later}",
                    reason="no quarterly report that was read prints these quarters",
                )


def _named(company: Company | None, documents: Sequence[ExtractedDocument]) -> Company:
    if company is not None and company.name is not None:
        return company
    names = Counter(d.company_name for d in reversed(documents) if d.company_name)
    name = names.most_common(1)[0][0] if names else None
    known = company or Company()
    return Company(id=known.id, name=name, ticker=known.ticker)


def _summary(document: ExtractedDocument) -> DocumentSummary:
    return DocumentSummary(
        url=document.url, sha256=document.sha256, provisional=document.provisional, confirmed=document.confirmed,
        period_end=document.period_end, page_count=document.page_count,
        statements_read=tuple(statement.kind for statement in document.statements), problems=document.problems,
        published_on=document.published_on,
    )  # fmt: skip
