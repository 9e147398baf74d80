"""Words: counted, hashed, and recognised as a language."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from consumers.audit.data import by_language

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019\-.,/][^\W_]+)*")
_CJK: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003134f]")

_SCRIPTS: Final = (
    ("ja", re.compile(r"[\u3040-\u30ff]")), ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")), ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")), ("el", re.compile(r"[\u0370-\u03ff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")), ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
)  # fmt: skip
STOP_WORDS: Final = {language: frozenset(words.split()) for language, words in by_language("stop_words.txt").items()}
"""Frequent words that carry no topic; they also tell the language."""
ANY_STOP_WORD: Final = frozenset().union(*STOP_WORDS.values())
_LANGUAGES: Final = {
    word: tuple(language for language, words in STOP_WORDS.items() if word in words) for word in ANY_STOP_WORD
}
_ENOUGH_HITS: Final = 0.1
_LONG_CHARS: Final = 1_000
"""Shorter texts are paragraphs, which are not asked for again."""


@lru_cache(2)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text as written; runs of CJK characters are one each. Asked for the same text several times."""
    return tuple(_WORD.findall(text))


def count_words(text: str) -> int:
    """Words of a text; CJK has no spaces, so two of its characters count as one word."""
    ideographs = len(_CJK.findall(text)) if not text.isascii() else 0
    if not ideographs:
        return len(words_of(text)) if len(text) > _LONG_CHARS else len(_WORD.findall(text))
    return len(_WORD.findall(_CJK.sub(" ", text))) + ideographs // 2


def digest_of(text: str) -> str:
    """The same for texts that differ in case and white space only; empty for no text."""
    squeezed = " ".join(text.lower().split())
    return hashlib.sha256(squeezed.encode()).hexdigest()[:32] if squeezed else ""


def simhash_of(text: str) -> str:
    """64-bit SimHash over runs of three words, hexadecimal; empty for fewer than eight words.

    Source: Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002; Manku, Jain and Das Sarma,
    "Detecting Near-Duplicates for Web Crawling", 2007 (64 bits, distance 3). A run's hash is the exclusive or of its
    words' hashes by place: Patrascu and Thorup, "The Power of Simple Tabulation Hashing", 2012.
    """
    found = words_of(_CJK.sub(r" \g<0> ", text) if not text.isascii() else text)
    if len(found) < 8:  # noqa: PLR2004 - of a few words any two texts are alike
        return ""
    hashes = [_hashes_of(word.lower()) for word in found]
    count = len(found) - 2
    runs = 0
    for place in range(3):
        runs ^= int.from_bytes(b"".join([one[place] for one in hashes[place : place + count]]), "little")
    return f"{_majority(runs, count):016x}"


@lru_cache(20_000)
def _hashes_of(word: str) -> tuple[bytes, bytes, bytes]:
    """A word's hash as the first, second and third of a run."""
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=24).digest()
    return digest[:8], digest[8:16], digest[16:]


def _majority(lanes: int, count: int) -> int:
    """The 64 bits that are set in more than half of the lanes of 64 bits that a number is made of.

    Counted in all 64 columns at once: a number's bit says a digit of its column's count ("bit slicing"), and halves
    of the lanes are added like numbers are on paper, so a text takes as many steps as its length has digits.
    """
    digits, width = [lanes], 1 << (count - 1).bit_length()
    while width > 1:
        width >>= 1
        low = (1 << (width * 64)) - 1
        carry = 0
        added = []
        for digit in digits:
            one, two = digit & low, digit >> (width * 64)
            added.append(one ^ two ^ carry)
            carry = (one & two) | (carry & (one ^ two))
        digits = [*added, carry]
    more, same = 0, (1 << 64) - 1
    for place in range(len(digits) - 1, -1, -1):
        if (count // 2) >> place & 1:
            same &= digits[place]
        else:
            more |= same & digits[place]
            same &= ~digits[place]
    return more


def distance(left: str, right: str) -> int:
    """Bits in which two SimHashes differ."""
    return (int(left, 16) ^ int(right, 16)).bit_count()


def language_of(text: str) -> str:
    """The primary language of a text, by script, then by frequent words; empty when unsure.

    Good for telling a few common languages apart in a paragraph or more, not for single phrases.
    """
    sample = text[:20_000]
    if not sample.isascii():
        letters = sum(map(str.isalpha, sample)) or 1
        for language, script in _SCRIPTS:
            share = len(script.findall(sample)) / letters
            if share > (0.05 if language == "ja" else 0.3):
                return language
    found = [word.lower() for word in words_of(sample)]
    if len(found) < 12:  # noqa: PLR2004 - too few to tell
        return ""
    hits = dict.fromkeys(STOP_WORDS, 0)
    for word, count in Counter(found).items():
        for language in _LANGUAGES.get(word, ()):
            hits[language] += count
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
