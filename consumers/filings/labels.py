"""Printed labels as keys: what two filers mean alike gets the same words.

English inflections and direction words are taken away ("Net cash (used in) provided by operating activities" and
"Net cash flows from operating activities" are one), German, French and Spanish labels lose accents and articles.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_NOTE: Final = re.compile(
    r"\((?:see |siehe |voir |ver )?(?:notes?|anm(?:erkung)?\.?|anhang|nota) [^)]*\)|\b(?:notes?|nota) \d+(?:\.\d+)?\b",
    re.IGNORECASE,
)
_BRACKETS: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_QUALIFIER: Final = re.compile(
    r"\s*[,;:\u2013\u2014-]?\s*\b(?:net of|less|after deducting|including|excluding|of which|at cost\b|at fair value|"
    r"par value|no par|without par|stated value|authori[sz]ed|\$ ?[\d.]|[\d,.]+ (?:shares|and)|issued and|abzüglich|"
    r"nach abzug|davon|nets? de|dont|netos? de|neto de)\b.*$",
    re.IGNORECASE,
)
_STOP_WORDS: Final = """
at the of and in an by for from to on its our with as und der die das den dem des aus im am an zu zur zum et de
la le les du aux en sur par y el los las del al por para con un une una provided used generated absorbed
utilised utilized flow inflow outflow consolidated konsolidiert consolide consolidee consolidado consolidada
"""
_STOP: Final = frozenset(_STOP_WORDS.split())
_SAME: Final = {
    "stockholder": "shareholder", "shareowner": "shareholder", "owner": "shareholder", "earning": "income",
    "profit": "income", "loss": "income", "taxation": "tax", "period": "year", "quarter": "year", "month": "year",
    "week": "year", "start": "beginning", "opening": "beginning", "closing": "end", "minority": "noncontrolling",
    "purchase": "purchase", "buyback": "repurchase", "equipments": "equipment", "decrease": "increase",
}  # fmt: skip
_PLURAL: Final = re.compile(r"(?<=[a-z]{3})(?<![sui])s$")
_PLURAL_IES: Final = re.compile(r"(?<=[a-z]{3})ies$")
_PLURAL_XES: Final = re.compile(r"(?<=[a-z])(x|ss)es$")
_PHRASES: Final = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\bnon[ -](?=controlling|current|interest|cash|operating|redeemable)", "non"),
        (r"\b(?:financial|fiscal|reporting) (?=year|period)", ""),
        (r"\bequity ?holders?\b", "shareholders"),
        (r"\bshare holders?\b", "shareholders"),
        (r"\bper (?:common|ordinary) share\b", "per share"),
        (r"\bisation\b", "ization"),
        (r"(?<=[a-z])isation(?=s?\b)", "ization"),
        (r"\blong term\b", "longterm"),
        (r"\bshort term\b", "shortterm"),
        (r"\bright of use\b", "rightofuse"),
        (r"\bpre tax\b", "pretax"),
        (r"\bpaid in\b", "paidin"),
    )
)


def folded(text: str) -> str:
    """Lower case without accents; apostrophes and typographic dashes made plain."""
    text = text.replace("\u2019", "'").replace("\u2018", "'").replace("\u00a0", " ")
    text = re.sub("[\u2010-\u2015\u2212]", "-", text)
    flat = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in flat if not unicodedata.combining(char))


@lru_cache(maxsize=8_192)
def canonical(label: str) -> str:
    """The key of a label: its telling words, in order, in one form."""
    text = _NOTE.sub(" ", label).replace("&", " and ").replace("/", " ")
    bare = _BRACKETS.sub(" ", text)
    text = folded(bare if re.search(r"[^\W\d_]{2}", bare) else text)
    text = re.sub(r"'(?=s\b)|(?<=s)'", "", text)
    text = " ".join(re.findall(r"[^\W_]+", text))
    for pattern, words in _PHRASES:
        text = pattern.sub(words, text)
    kept: list[str] = []
    for word in text.split():
        if word in _STOP or len(word) == 1 or word.isdigit():
            continue
        single = _PLURAL.sub("", _PLURAL_IES.sub("y", _PLURAL_XES.sub(r"\1", word)))
        single = _SAME.get(single, single)
        if single in _STOP or (kept and kept[-1] == single):
            continue
        kept.append(single)
    return " ".join(kept)


@lru_cache(maxsize=8_192)
def variants(label: str) -> tuple[tuple[str, float], ...]:
    """The keys under which a label may be known, each with what it is worth, best first."""
    found: dict[str, float] = {}

    def add(key: str, worth: float) -> None:
        if key:
            found.setdefault(key, worth)

    whole = canonical(label)
    add(whole, 100.0)
    cut = canonical(_QUALIFIER.sub("", label))
    add(cut, 97.0)
    for key, worth in ((whole, 95.0), (cut, 92.0)):
        add(key.removesuffix(" net"), worth)
        add(key.removeprefix("total "), worth - 3)
        add(key.removeprefix("konzern"), worth)
        add(key.removeprefix("less "), worth)
    return tuple(found.items())
