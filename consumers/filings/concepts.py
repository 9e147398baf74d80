"""The published table of standard concepts: `concepts.csv` beside this module.

A line is a concept: its id, statement, the place where it may stand, its sign convention, the template it belongs to
(general, bank, insurer), its synonyms in English, German, French and Spanish, and the XBRL elements that mean it.

Sign convention (that of the XBRL taxonomies): a value is positive when the thing named is there. Revenue, assets,
liabilities and equity are positive; `expense` concepts are positive for a cost and negative for a credit; `outflow`
concepts are positive for a payment; totals of the cash flow statement are positive for cash coming in.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal, cast

from consumers.filings.labels import canonical
from schemas.filings import STATEMENT_KINDS, StatementKind

if TYPE_CHECKING:
    from collections.abc import Mapping

Sign = Literal["natural", "expense", "outflow"]
Template = Literal["general", "bank", "insurer"]

LANGUAGES: Final = ("en", "de", "fr", "es")


@dataclass(frozen=True, slots=True)
class Concept:
    """A standard line item.

    Attributes:
        place: Where it may stand: a part of the balance sheet or of the cash flow statement, or the unit of a line of
            the income statement; "any" for anywhere.
        synonyms: By language, as a filer may print it.
        xbrl: Local names of the elements that mean it, the surest first.
    """

    id: str
    statement: StatementKind
    place: str
    sign: Sign
    template: Template
    synonyms: Mapping[str, tuple[str, ...]]
    xbrl: tuple[str, ...]


@cache
def concepts() -> tuple[Concept, ...]:
    """Every concept, in the order of the table."""
    text = files("consumers.filings").joinpath("concepts.csv").read_text(encoding="utf-8")
    return tuple(_concept(line) for line in csv.DictReader(text.splitlines()))


def _concept(line: dict[str, str]) -> Concept:
    return Concept(
        id=line["concept"],
        statement=cast("StatementKind", line["statement"]),
        place=line["place"],
        sign=cast("Sign", line["sign"]),
        template=cast("Template", line["template"]),
        synonyms={language: _split(line[language]) for language in LANGUAGES},
        xbrl=_split(line["xbrl"]),
    )


def _split(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


@cache
def by_id() -> dict[str, Concept]:
    """Concepts by their id."""
    return {concept.id: concept for concept in concepts()}


@cache
def lexicon(kind: StatementKind) -> dict[str, tuple[tuple[Concept, int], ...]]:
    """Canonical synonyms of a statement's concepts, each with the concepts it may mean and its rank among theirs."""
    words: dict[str, dict[str, tuple[Concept, int]]] = {}
    for concept in concepts():
        if concept.statement != kind:
            continue
        for synonyms in concept.synonyms.values():
            for rank, synonym in enumerate(synonyms):
                meanings = words.setdefault(canonical(synonym), {})
                if concept.id not in meanings:
                    meanings[concept.id] = (concept, rank)
    words.pop("", None)
    return {word: tuple(meanings.values()) for word, meanings in words.items()}


@cache
def by_element() -> dict[StatementKind, dict[str, tuple[Concept, ...]]]:
    """XBRL local names to concepts, by statement."""
    found: dict[StatementKind, dict[str, tuple[Concept, ...]]] = {kind: {} for kind in STATEMENT_KINDS}
    for concept in concepts():
        for element in concept.xbrl:
            known = found[concept.statement].get(element, ())
            found[concept.statement][element] = (*known, concept)
    return found
