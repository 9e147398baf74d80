"""Vectors without a model: hashed words and character n-grams, weighted by TF-IDF.

What they find is likeness of words and of their parts (inflections, compounds, misspellings), not of meaning; the
name says so. Frequencies come from the collection, as it was when a text was embedded.

Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009 (signed hashing); Salton and
Buckley, "Term-weighting approaches in automatic text retrieval", 1988.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from consumers.documents.language import common_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME: Final = "hashed-ngrams-1024"
DIMENSION: Final = 1_024
BUCKETS: Final = 65_536
"""Of the frequencies that are kept of a collection."""

GRAM: Final = 4
GRAM_WEIGHT: Final = 0.35
"""Of a character n-gram beside its word."""

_WORD: Final = re.compile(r"[^\W_]+")


def features(text: str) -> Counter[str]:
    """Words and their character n-grams, and how often each occurs; the commonest words of languages are left out."""
    common = common_words()
    counts: Counter[str] = Counter()
    for word in _WORD.findall(text.lower()):
        if word in common or len(word) > 64:  # noqa: PLR2004 - no word of a language
            continue
        counts[word] += 1
        if len(word) > GRAM:
            padded = f"<{word}>"
            for at in range(len(padded) - GRAM + 1):
                counts["#" + padded[at : at + GRAM]] += 1
    return counts


def buckets_of(text: str) -> set[int]:
    """Where a text's features are counted."""
    return {zlib.crc32(feature.encode()) % BUCKETS for feature in features(text)}


def embed(text: str, frequencies: NDArray[np.uint32] | None = None, documents: int = 0) -> NDArray[np.float32]:
    """The vector of a text, of length 1 (or 0 for a text without words).

    Args:
        text: A passage or a question.
        frequencies: In how many passages of the collection each of `BUCKETS` occurs; None weighs all alike.
        documents: How many passages were counted.
    """
    import numpy as np  # noqa: PLC0415 - an extra

    vector = np.zeros(DIMENSION, dtype=np.float32)
    counts = features(text)
    if not counts:
        return vector
    hashes = np.fromiter((zlib.crc32(feature.encode()) for feature in counts), dtype=np.uint32, count=len(counts))
    weights = 1.0 + np.log(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))
    weights *= np.fromiter(
        (GRAM_WEIGHT if feature[0] == "#" else 1.0 for feature in counts), dtype=np.float32, count=len(counts)
    )
    if frequencies is not None and documents:
        weights *= np.log((1.0 + documents) / (1.0 + frequencies[hashes % BUCKETS])) + 0.1
    signs = np.where(hashes & 0x8000_0000, 1.0, -1.0).astype(np.float32)
    np.add.at(vector, (hashes >> 8) % DIMENSION, weights * signs)
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def telling_words(query: str, frequencies: bytes | None, counted: int, most: int) -> dict[str, float]:
    """The words of a query by how much they tell passages apart: their inverse frequency, the rarest first.

    Args:
        query: Words.
        frequencies: In how many passages each of `BUCKETS` occurs, little-endian uint32; None: not known.
        counted: Of how many passages.
        most: Passages that words with a weight may occur in, all together; the rarest word always has one.

    Source: Spärck Jones, "A statistical interpretation of term specificity and its application in retrieval", 1972.
    """
    import numpy as np  # noqa: PLC0415 - an extra

    common = common_words()
    words = list(dict.fromkeys(_WORD.findall(query.lower())))
    words = [word for word in words if word not in common] or words
    if frequencies is None:
        return dict.fromkeys(words, 1.0)
    known = np.frombuffer(frequencies, dtype="<u4")
    occurs = {word: int(known[zlib.crc32(word.encode()) % BUCKETS]) for word in words}
    kept: dict[str, float] = {}
    total = 0
    for word in sorted(words, key=lambda word: occurs[word]):
        total += occurs[word]
        if kept and total > most:
            kept[word] = 0.0
            continue
        kept[word] = max(0.1, math.log((1 + max(counted, occurs[word])) / (1 + occurs[word])))
    return kept
