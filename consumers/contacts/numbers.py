"""Phone numbers as readers see them: by their shape and the words before them, without looking a plan up."""

from __future__ import annotations

import re
from typing import Final

_SHAPE: Final = re.compile(
    r"(?<![\w/.=#+-])(?:"
    r"\+\d{1,3}[ \u00a0.\-/]?(?:\(0?\d{0,4}\)[ \u00a0.\-/]?)?\d(?:[ \u00a0.\-/]?\d){6,12}"  # +44 20 7946 0958
    r"|(?:1[ .-])?\(\d{3}\)[ \u00a0]?\d{3}[ .\-\u00a0\u2011]\d{4}"  # (212) 555-0123
    r"|(?:1[.-])?\d{3}[.\-\u2011]\d{3}[.\-\u2011]\d{4}"  # 212-555-0123
    r"|\(0\d{1,5}\)[ \u00a0]?\d(?:[ \u00a0.\-]?\d){4,9}"  # (020) 7946 0958
    r"|0\d(?:[ .]\d\d){4}"  # 02 41 55 66 73
    r")(?![\w/-])"
)
_SPOKEN: Final = re.compile(
    r"(?:\b(?:tel(?:efon|efono|éfono|ephone)?|t[ée]l[ée]?(?:phone)?|phone|call(?: us)?(?: (?:on|at))?|"
    r"ring|mobil(?:e|funk)?|cell|fon|"
    r"fax|hotline|whatsapp|ph|handy|rufen sie|appelez)\b|☎|"
    r"📞)[\s:.\-\u2013]{0,4}(?P<number>\+?\(?\d(?:[ \u00a0().\-/]{0,2}\d){6,14})(?![\w-])",
    re.IGNORECASE,
)
_ENOUGH_DIGITS: Final = re.compile(r"\d(?:\D{0,4}\d){6}")
"""What every number has: seven digits close to each other."""
_DATE: Final = re.compile(r"(?:19|20)\d\d[.\-/]\d\d?[.\-/]\d\d?|\d\d?[.\-/]\d\d?[.\-/](?:19|20)\d\d")


def shown_numbers(text: str) -> list[str]:
    """What looks like a phone number to a reader, each once."""
    if _ENOUGH_DIGITS.search(text) is None:
        return []
    found = [match.group() for match in _SHAPE.finditer(text)]
    found += [match["number"].strip() for match in _SPOKEN.finditer(text)]
    kept: dict[str, str] = {}
    for one in found:
        if not _DATE.fullmatch(one):
            kept.setdefault(re.sub(r"\D", "", one)[-7:], one)
    return list(kept.values())
