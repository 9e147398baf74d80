"""What a compile has that the one before it had not. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.filings_result import DocumentSummary, FilingsResult, News, Restatement

if TYPE_CHECKING:
    from collections.abc import Sequence


def news_of(before: FilingsResult, now: FilingsResult) -> News:
    """New filings by their content, so that a moved or renamed file is none; new restatements by cell and value."""
    known = {document.sha256 for document in before.documents}
    told = {_key(one) for one in before.restatements}
    filings = tuple(document for document in now.documents if document.sha256 not in known)
    restatements = tuple(one for one in now.restatements if _key(one) not in told)
    return News(filings=filings, restatements=restatements, lines=tuple(_lines(filings, restatements)))


def _lines(filings: Sequence[DocumentSummary], restatements: Sequence[Restatement]) -> list[str]:
    lines = []
    for document in filings:
        kind = document.confirmed or document.provisional
        year = f" {kind.fiscal_year}" if kind.fiscal_year else ""
        lines.append(f"new filing: {kind.document_type.replace('_', ' ')}{year} ({document.url})")
    lines += [
        f"restatement: {one.label}, {one.period_end}: {one.first.value:,} first, {one.changes[-1].value:,} now"
        for one in restatements
    ]
    return lines


def _key(one: Restatement) -> tuple[object, ...]:
    return one.company, one.frequency, one.statement, one.key or one.label, one.period_end, one.changes[-1].value
