"""Dates and years as report headers print them, in English, German, French and Spanish."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from typing import Final

_MONTHS: Final = {
    1: "january|jan|januar|jänner|janvier|enero",
    2: "february|feb|februar|février|fevrier|febrero",
    3: "march|mar|märz|maerz|mars|marzo",
    4: "april|apr|avril|abril",
    5: "may|mai|mayo",
    6: "june|jun|juni|juin|junio",
    7: "july|jul|juli|juillet|julio",
    8: "august|aug|août|aout|agosto",
    9: "september|sept|sep|septembre|septiembre",
    10: "october|oct|oktober|okt|octobre|octubre",
    11: "november|nov|novembre|noviembre",
    12: "december|dec|dezember|dez|décembre|decembre|diciembre",
}
_MONTH_OF: Final = {name: number for number, names in _MONTHS.items() for name in names.split("|")}
_MONTH: Final = r"(?P<month>" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + r")\b\.?"
_DAY: Final = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|er|\.)?"
_YEAR: Final = r"(?P<year>(?:19|20)\d\d)"

_FORMS: Final = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"\b{_MONTH}\s*{_DAY},?\s*{_YEAR}(?!\d)",
        rf"\b{_DAY}\s*(?:de\s+)?{_MONTH},?\s*(?:de\s+|del\s+)?{_YEAR}(?!\d)",
        rf"\b{_DAY}[./-](?P<monthno>[01]?\d)[./-]{_YEAR}(?!\d)",
        rf"\b{_YEAR}-(?P<monthno>[01]\d)-(?P<day>[0-3]\d)\b",
        rf"\b{_DAY}[- ]{_MONTH}[- ](?P<short>\d\d)\b",
        rf"\b{_MONTH}\s+{_YEAR}(?!\d)",
        rf"(?<![\d.,/-]){_YEAR}\s?[-\u2013/]\s?(?P<next>\d\d)(?![\d.,/-])",
        rf"\b{_MONTH}\s*{_DAY}(?!\d)",
        rf"\b{_DAY}\s*(?:de\s+)?{_MONTH}(?!\w)",
        r"(?<![\d.,/])(?:FY\s?)?(?P<year>(?:19[5-9]|20[0-9])\d)(?=$|[^\d,.%]|[.,](?!\d)|[1-9]\)?$)",
        r"\bFY\s?'?(?P<short>\d\d)\b",
        rf"\b{_DAY}[./](?P<monthno>[01]?\d)\.(?!\d)",
    )
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A date or a part of one, found in a text at start..end."""

    start: int
    end: int
    year: int | None = None
    month: int | None = None
    day: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether it names a day or the end of a month of a year."""
        return self.year is not None and self.month is not None


def mentions(text: str) -> list[Mention]:
    """The dates, years and days of the year in a text, in order, without overlaps."""
    found: list[Mention] = []
    for form in _FORMS:
        for match in form.finditer(text):
            if any(match.start() < m.end and m.start < match.end() for m in found):
                continue
            mention = _mention(match)
            if mention is not None:
                found.append(mention)
    return sorted(found, key=lambda m: m.start)


def _mention(match: re.Match[str]) -> Mention | None:
    parts = match.groupdict()
    year = int(parts["year"]) if parts.get("year") else None
    if parts.get("short"):
        year = 2000 + int(parts["short"])
    if parts.get("next") and year is not None:
        if int(parts["next"]) != (year + 1) % 100:
            return None
        year += 1
    month = _MONTH_OF[parts["month"].lower()] if parts.get("month") else None
    if parts.get("monthno"):
        month = int(parts["monthno"])
    day = int(parts["day"]) if parts.get("day") else None
    if month not in (None, *range(1, 13)) or day not in (None, *range(1, 32)):
        return None
    return Mention(match.start(), match.end(), year, month, day)


def to_date(year: int, month: int, day: int | None) -> date:
    """The day, or the last of the month when there is none or the month is shorter."""
    last = calendar.monthrange(year, month)[1]
    return date(year, month, min(day or last, last))


_MONTHS_LONG: Final = (
    (
        re.compile(
            r"\b(three|3)[- ]months?|\b(?:1[34]|thirteen|fourteen)[- ]weeks?|\bquarters? ended|\bquartal|\btrimestre",
            re.IGNORECASE,
        ),
        3,
    ),
    (
        re.compile(
            r"\b(six|6)[- ]months?|\b(?:2[67]|twenty-six)[- ]weeks?|\bhalf[- ]year|\bhalbjahr|\bsemestre", re.IGNORECASE
        ),
        6,
    ),
    (
        re.compile(
            r"\b(nine|9)[- ]months?|\b(?:39|40|thirty-nine)[- ]weeks?|\bneun monate|\bneuf mois|\bnueve meses",
            re.IGNORECASE,
        ),
        9,
    ),
    (
        re.compile(
            r"\b(twelve|12)[- ]months?|\bfor the (?:fiscal |financial )?years?\b|\byears? end(?:ed|ing)"
            r"|\bgeschäftsjahr|\bexercice|\bejercicio|\b5[23][- ]weeks?",
            re.IGNORECASE,
        ),
        12,
    ),
)


def months_in(text: str) -> int | None:
    """How long a period a header speaks of, in months; None when it does not say."""
    for pattern, months in _MONTHS_LONG:
        if pattern.search(text):
            return months
    return None


_YEAR_END: Final = re.compile(
    r"(?:fiscal|financial)?\s*(?:years?|period) end(?:ed|ing)|(?:zum|per|bis)\s+(?=\d)|clos(?:e|es)? le"
    r"|terminado el|\bas (?:at|of)\b|geschäftsjahr",
    re.IGNORECASE,
)


def fiscal_year_end(text: str) -> date | None:
    """The period end that a cover or a first page names; None when it names none."""
    found: dict[date, int] = {}
    for cue in _YEAR_END.finditer(text):
        for mention in mentions(text[cue.end() : cue.end() + 40])[:1]:
            if mention.year and mention.month and mention.day:
                end = to_date(mention.year, mention.month, mention.day)
                found[end] = found.get(end, 0) + 1
    return max(found, key=lambda end: found[end]) if found else None
