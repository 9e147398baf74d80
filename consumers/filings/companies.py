"""Which reports are of one company, where a page links those of several.

Two reports belong together when they name the company alike, or when they print the same figures for the same days,
as each report does with its predecessor's. The second holds a company together that changes its name.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from decimal import Decimal

    from schemas.filings import ExtractedDocument, StatementKind

SHARED_FIGURES: Final = 8
"""Figures that two reports must share; of two companies hardly one is the same to the last digit."""

_LEGAL_FORMS: Final = frozenset(
    {"ab", "ag", "asa", "co", "company", "corp", "corporation", "gmbh", "inc", "incorporated", "limited", "ltd"}
    | {"group", "holding", "holdings", "nv", "oyj", "plc", "sa", "se", "spa", "the"}
)

_Figure = tuple["StatementKind", "date", "Decimal"]


@dataclass(frozen=True, slots=True)
class _Group:
    names: frozenset[str]
    figures: frozenset[_Figure]
    documents: tuple[ExtractedDocument, ...]

    def belongs_with(self, other: _Group) -> bool:
        return bool(self.names & other.names) or len(self.figures & other.figures) >= SHARED_FIGURES

    def joined(self, other: _Group) -> _Group:
        return _Group(self.names | other.names, self.figures | other.figures, self.documents + other.documents)


def by_company(documents: Iterable[ExtractedDocument]) -> tuple[tuple[ExtractedDocument, ...], ...]:
    """The documents of each company, that with the most statements first; the same in whatever order they come.

    Documents without statements or a name go with the first, unless they name another of the companies. At least
    one group, which may be empty.
    """
    groups: list[_Group] = []
    rest: list[_Group] = []
    for document in sorted(documents, key=lambda one: (one.url, one.sha256)):
        group = _Group(_names(document), _figures(document), (document,))
        if not group.figures:
            rest.append(group)
            continue
        for other in [one for one in groups if one.belongs_with(group)]:
            groups.remove(other)
            group = other.joined(group)
        groups.append(group)
    if sum(bool(group.names) for group in groups) <= 1:
        rest += [group for group in groups if not group.names]
        groups = [group for group in groups if group.names]
    groups.sort(key=lambda one: (-sum(len(document.statements) for document in one.documents), one.documents[0].url))
    if not groups:
        return (tuple(document for group in rest for document in group.documents),)
    for group in rest:
        at = next((number for number, one in enumerate(groups) if one.names & group.names), 0)
        groups[at] = groups[at].joined(group)
    return tuple(group.documents for group in groups)


def is_called(document: ExtractedDocument, name: str) -> bool:
    """Whether a report's name for its company is this one, or one of the two is the beginning of the other."""
    told = _bare(name)
    return bool(told) and any(
        f"{one} ".startswith(f"{told} ") or f"{told} ".startswith(f"{one} ") for one in _names(document)
    )


def _names(document: ExtractedDocument) -> frozenset[str]:
    """The company's name as `_bare`; none when it is not known."""
    bare = _bare(document.company_name or "")
    return frozenset({bare} if bare else ())


def _bare(name: str) -> str:
    """A name without case, accents, punctuation and legal form."""
    text = unicodedata.normalize("NFKD", name).casefold()
    words = re.findall(r"[^\W_]+", "".join(char for char in text if not unicodedata.combining(char)).replace(".", ""))
    kept = [word for word in words if word not in _LEGAL_FORMS]
    return " ".join(kept or words)


def _figures(document: ExtractedDocument) -> frozenset[_Figure]:
    return frozenset(
        (statement.kind, period.end, cell.value * statement.unit_multiplier)
        for statement in document.statements
        for row in statement.rows
        if row.unit == "amount"
        for period, cell in zip(statement.periods, row.cells, strict=True)
        if cell is not None and cell.value
    )
