"""What a compile has that the one before it had not. Pure."""

from __future__ import annotations

from schemas.filings import FilingsResult, News, Restatement


def news_of(before: FilingsResult, now: FilingsResult) -> News:
    """New filings by their content, so that a moved or renamed file is none; new restatements by cell and value."""
    known = {document.sha256 for document in before.documents}
    told = {_key(one) for one in before.restatements}
    return News(
        filings=tuple(document for document in now.documents if document.sha256 not in known),
        restatements=tuple(one for one in now.restatements if _key(one) not in told),
    )


def news_lines(news: News) -> list[str]:
    """The news for people, a line each."""
    lines = []
    for document in news.filings:
        kind = document.confirmed or document.provisional
        year = f" {kind.fiscal_year}" if kind.fiscal_year else ""
        lines.append(f"new filing: {kind.document_type.replace('_', ' ')}{year} ({document.url})")
    lines += [
        f"restatement: {one.label}, {one.period_end}: {one.first.value:,} first, {one.changes[-1].value:,} now"
        for one in news.restatements
    ]
    return lines


def _key(one: Restatement) -> tuple[object, ...]:
    return one.company, one.frequency, one.statement, one.key or one.label, one.period_end, one.changes[-1].value
