"""Link texts that say nothing of their target, by language."""

from __future__ import annotations

import re
from typing import Final

from consumers.audit.data import by_language

GENERIC: Final = {
    language: frozenset(phrases.split("|")) for language, phrases in by_language("link_phrases.txt").items()
}
_ANY: Final = frozenset().union(*GENERIC.values())
_MARKS: Final = r"[\s\u00bb\u203a\u2192>\u00ab\u2039\u2190\-\u2013\u2014.\u2026:!|+]+"
_ENDS: Final = re.compile(f"^{_MARKS}|{_MARKS}$")


def is_generic(text: str, language: str) -> bool:
    """Whether a link's text is in the list of its language; of all languages when the language has no list."""
    phrase = _ENDS.sub("", text.casefold())
    return phrase in GENERIC.get({"nb": "no", "nn": "no"}.get(language, language), _ANY)
