"""Spelling as the last resort: a label that is almost a synonym, and clearly of one concept only."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from consumers.filings.concepts import Concept, lexicon

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.filings import StatementKind

_FLOOR: Final = 87.0
_MARGIN: Final = 4.0
_SHORTEST: Final = 8
_TELLING_WORDS: Final = """
noncurrent current beginning end basic diluted before after asset liability payable receivable tax
income expense cost net gross total other operating investing financing noncontrolling continuing discontinued
paid received interest dividend deferred intangible goodwill lease pension depreciation amortization
comprehensive nonoperating issue issuance proceed repayment longterm shortterm investment raw advance
"""
_TELLING: Final = frozenset(_TELLING_WORDS.split())
"""Words that make another concept of a label, however little the spelling changes."""


def alike(kind: StatementKind, key: str, allowed: Callable[[Concept], bool]) -> list[tuple[str, float]]:
    """The concept that a key is spelled almost like, with its likeness in 0..100; nothing when in doubt.

    Raises:
        ModuleNotFoundError: rapidfuzz is not installed.
    """
    if len(key) < _SHORTEST:
        return []
    from rapidfuzz import fuzz, process  # noqa: PLC0415 - the base install goes without it

    best: dict[str, float] = {}
    told = _telling(key)
    for word, score, _ in process.extract(
        key, _words(kind), scorer=fuzz.token_sort_ratio, score_cutoff=_FLOOR - _MARGIN, limit=12
    ):
        for concept, _ in lexicon(kind)[word]:
            if allowed(concept):
                same = told == _telling(word)
                best[concept.id] = max(best.get(concept.id, 0.0), score if same else score - 2 * _MARGIN)
    ranked = sorted(best.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][1] < _FLOOR:
        return []
    if len(ranked) > 1 and ranked[0][1] - ranked[1][1] < _MARGIN:
        return []
    concept_id, score = ranked[0]
    return [(concept_id, score)] if _same_words(kind, concept_id, told) else []


@cache
def _words(kind: StatementKind) -> list[str]:
    return list(lexicon(kind))


def _telling(key: str) -> frozenset[str]:
    return frozenset(key.split()) & _TELLING


def _same_words(kind: StatementKind, concept_id: str, told: frozenset[str]) -> bool:
    """Whether one of the concept's synonyms has exactly the telling words."""
    return any(
        told == _telling(word)
        for word, meanings in lexicon(kind).items()
        if any(c.id == concept_id for c, _ in meanings)
    )
