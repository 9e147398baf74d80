"""Which language a text is in, as far as full text search needs to know: by its most frequent words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

SAMPLE_CHARS: Final = 20_000
MIN_SHARE: Final = 0.04
"""Share of a text's words that must be among a language's commonest."""

_SAID: Final[Mapping[str, str]] = {
    "en": "the of and to in is that for with as was are by be this from or which at it not have",
    "de": "der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch werden",
    "fr": "le la les de des et du en un une est que pour dans qui sur par au avec ne pas ce",
    "es": "el la los las de y en que del un una por con para es se no su al como lo más",
    "it": "il la di e che un una per in del della non è con sono le dei si da gli nel alla",
    "nl": "de het een en van in is dat op te voor met zijn niet aan er om ook als bij door",
    "pt": "o a os as de e que do da em um uma para com não por se na no dos mais como",
}
_COMMON: Final[Mapping[str, frozenset[str]]] = {name: frozenset(words.split()) for name, words in _SAID.items()}
CONFIGURATIONS: Final[Mapping[str, str]] = {
    "da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
"""PostgreSQL's text search configurations by ISO 639-1; ``simple`` for all others."""

_WORD: Final = re.compile(r"[^\W\d_]+")


def language_of(text: str) -> str | None:
    """ISO 639-1 of a text; None when its commonest words tell nothing."""
    words = [word.lower() for word in _WORD.findall(text[:SAMPLE_CHARS])]
    if not words:
        return None
    shares = {name: sum(word in common for word in words) / len(words) for name, common in _COMMON.items()}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= MIN_SHARE else None


def configuration_of(language: str | None) -> str:
    """The text search configuration for a language."""
    return CONFIGURATIONS.get(language or "", "simple")


@lru_cache
def common_words(language: str | None = None) -> frozenset[str]:
    """The commonest words of a language, of all when None."""
    if language is not None:
        return _COMMON.get(language, frozenset())
    return frozenset[str]().union(*_COMMON.values())
