"""Words: counted, hashed, and recognised as a language."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from consumers.audit.data import by_language

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019\-.,/][^\W_]+)*")
_CJK: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003134f]")
_SHINGLE: Final = 3
_LANE_BITS: Final = 32
# A byte's bits, spread into lanes that are wide enough to be summed.
_SPREAD: Final = tuple(sum(((byte >> bit) & 1) << (_LANE_BITS * bit) for bit in range(8)) for byte in range(256))
_LANE: Final = (1 << _LANE_BITS) - 1

_SCRIPTS: Final = (
    ("ja", re.compile(r"[\u3040-\u30ff]")), ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")), ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")), ("el", re.compile(r"[\u0370-\u03ff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")), ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
)  # fmt: skip
STOP_WORDS: Final = {language: frozenset(words.split()) for language, words in by_language("stop_words.txt").items()}
"""Frequent words that carry no topic; they also tell the language."""
_ENOUGH_HITS: Final = 0.1


def words_of(text: str) -> list[str]:
    """The words of a text as written; runs of CJK characters are one each."""
    return _WORD.findall(text)


def count_words(text: str) -> int:
    """Words of a text; CJK has no spaces, so two of its characters count as one word."""
    ideographs = len(_CJK.findall(text)) if not text.isascii() else 0
    if not ideographs:
        return len(_WORD.findall(text))
    return len(_WORD.findall(_CJK.sub(" ", text))) + ideographs // 2


def digest_of(text: str) -> str:
    """The same for texts that differ in case and white space only; empty for no text."""
    squeezed = " ".join(text.lower().split())
    return hashlib.sha256(squeezed.encode()).hexdigest()[:32] if squeezed else ""


def simhash_of(text: str) -> str:
    """64-bit SimHash over runs of three words, hexadecimal; empty for fewer than eight words.

    Source: Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002; Manku, Jain and Das Sarma,
    "Detecting Near-Duplicates for Web Crawling", 2007 (64 bits, distance 3).
    """
    found = [word.lower() for word in words_of(_CJK.sub(r" \g<0> ", text) if not text.isascii() else text)]
    if len(found) < 8:  # noqa: PLR2004 - of a few words any two texts are alike
        return ""
    lanes = [0] * 8
    count = 0
    shingles = (f"{one} {two} {three}" for one, two, three in zip(found, found[1:], found[2:], strict=False))
    for shingle in shingles:
        count += 1
        for position, byte in enumerate(hashlib.blake2b(shingle.encode(), digest_size=8).digest()):
            lanes[position] += _SPREAD[byte]
    value = 0
    for position, lane in enumerate(lanes):
        for bit in range(8):
            if ((lane >> (_LANE_BITS * bit)) & _LANE) * 2 > count:
                value |= 1 << (position * 8 + bit)
    return f"{value:016x}"


def distance(left: str, right: str) -> int:
    """Bits in which two SimHashes differ."""
    return (int(left, 16) ^ int(right, 16)).bit_count()


def language_of(text: str) -> str:
    """The primary language of a text, by script, then by frequent words; empty when unsure.

    Good for telling a few common languages apart in a paragraph or more, not for single phrases.
    """
    sample = text[:20_000]
    letters = sum(map(str.isalpha, sample)) or 1
    if not sample.isascii():
        for language, script in _SCRIPTS:
            share = len(script.findall(sample)) / letters
            if share > (0.05 if language == "ja" else 0.3):
                return language
    found = [word.lower() for word in words_of(sample)]
    if len(found) < 12:  # noqa: PLR2004 - too few to tell
        return ""
    counts = Counter(found)
    hits = {language: sum(counts[word] for word in stop) for language, stop in STOP_WORDS.items()}
    best, second = sorted(hits, key=lambda language: -hits[language])[:2]
    is_sure = hits[best] >= _ENOUGH_HITS * len(found) and hits[best] > 1.15 * hits[second]
    return best if is_sure else ""


def primary(tag: str | None) -> str:
    """The primary language of a BCP 47 tag, in lower case."""
    return (tag or "").strip().replace("_", "-").split("-", 1)[0].lower()


def top_words(words: Sequence[str], language: str) -> list[str]:
    """Lower-case words without the language's frequent ones and without numbers."""
    stop = STOP_WORDS.get(language, frozenset())
    lowered = (word.lower() for word in words)
    return [word for word in lowered if word not in stop and len(word) > 1 and not word[0].isdigit()]
