"""From lists of passages to one: fused by rank, near-duplicates folded, what was looked for marked."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

from consumers.documents.language import common_words

RRF_K: Final = 60
"""How much the first places count. Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms
Condorcet and individual Rank Learning Methods", 2009."""

NEAR_BITS: Final = 6
"""Fingerprints of passages that say nearly the same differ in at most so many of 64 bits."""

MAX_HIGHLIGHTS: Final = 50
_WORD: Final = re.compile(r"[^\W_]+")

Place = tuple[str, int]
"""Document and ordinal of a passage."""


def fused(
    lists: Mapping[str, Sequence[Place]], weights: Mapping[str, float]
) -> list[tuple[Place, float, tuple[str, ...]]]:
    """Passages by fused rank, best first, with the lists that had them.

    Args:
        lists: Each best first.
        weights: Of the lists; 1 when not named.
    """
    scores: dict[Place, float] = {}
    found_by: dict[Place, list[str]] = {}
    for name, places in lists.items():
        for rank, place in enumerate(places, 1):
            scores[place] = scores.get(place, 0.0) + weights.get(name, 1.0) / (RRF_K + rank)
            found_by.setdefault(place, []).append(name)
    ordered = sorted(scores, key=lambda place: (-scores[place], place))
    return [(place, scores[place], tuple(found_by[place])) for place in ordered]


def fingerprint(text: str) -> int:
    """SimHash of a passage's words, as a signed 64-bit integer.

    Source: Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002; shingles of three words.
    """
    import numpy as np  # noqa: PLC0415 - an extra

    words = _WORD.findall(text.lower())
    shingles = {" ".join(words[at : at + 3]).encode() for at in range(max(1, len(words) - 2))}
    halves = [(zlib.crc32(shingle), zlib.crc32(shingle[::-1])) for shingle in shingles]
    bits = np.unpackbits(np.array(halves, dtype=">u4").view(np.uint8), axis=1)
    value = int.from_bytes(np.packbits(2 * bits.sum(axis=0, dtype=np.int64) > len(halves)).tobytes(), "big")
    return value - (1 << 64) if value >> 63 else value


def folded(prints: Sequence[int]) -> list[int]:
    """For each passage, best first, the index of the one that it is folded into: its own when it stands alone."""
    into: list[int] = []
    for at, one in enumerate(prints):
        into.append(next((of for of in range(at) if into[of] == of and _distance(prints[of], one) <= NEAR_BITS), at))
    return into


def highlights(text: str, query: str) -> tuple[tuple[int, int], ...]:
    """Spans of a text that hold what was looked for: the whole query if it is there, else its words.

    A word is also found in its other forms: with up to three letters more, or one or two fewer at the end.
    """
    words = _WORD.findall(query)
    whole = re.compile(r"[\W_]+".join(map(re.escape, words)), re.IGNORECASE) if words else None
    spans = [found.span() for found in whole.finditer(text)] if whole else []
    if not spans:
        common = common_words()
        telling = [word for word in words if word.lower() not in common] or words
        stems = {re.escape(word if len(word) < 6 else word[:-2]) for word in telling}  # noqa: PLR2004 - as said above
        if stems:
            any_of = re.compile(rf"\b(?:{'|'.join(sorted(stems, key=len, reverse=True))})\w{{0,5}}", re.IGNORECASE)
            spans = [found.span() for found in any_of.finditer(text)]
    return tuple(spans[:MAX_HIGHLIGHTS])


def words_in_order(query: str) -> str:
    """A query as the phrase that is looked for: without quotes, its blanks single."""
    return " ".join(query.replace('"', " ").split())


def _distance(one: int, other: int) -> int:
    return ((one ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()
