"""When a report was published, as far as the link to it says so; and since when its figures were known."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from consumers.filings.periods import mentions

if TYPE_CHECKING:
    from schemas.filings import ExtractedDocument

LATEST: Final = timedelta(days=400)
"""After the end of the period; a later day is of something else."""

_IN_PATH: Final = re.compile(r"(?<!\d)(20\d\d)[-_/]?(0[1-9]|1[0-2])[-_/]?(0[1-9]|[12]\d|3[01])(?!\d)")
_PERIOD: Final = re.compile(
    r"(?:\bended|\bending|\bas of|\bas at|\bclos\w*(?: le| au)?|\bau|\bzum|\bper|\bendend\w* am|\bal)\s*$",
    re.IGNORECASE,
)


def published_on(url: str, link_text: str = "", context: str = "") -> date | None:
    """The day that a link's own words, those around it or its address name, and that is no period's end."""
    for text in (link_text, context):
        for found in mentions(text):
            if found.year and found.month and found.day and not _PERIOD.search(text[: found.start]):
                with suppress(ValueError):
                    return date(found.year, found.month, found.day)
    for match in _IN_PATH.finditer(unquote(urlsplit(url).path)):
        with suppress(ValueError):
            return date(int(match[1]), int(match[2]), int(match[3]))
    return None


def known_on(document: ExtractedDocument) -> date:
    """The first day on which what a document says was known.

    The day of its publication, where its link tells a plausible one; else the end of the period it reports on, before
    which it cannot have been.
    """
    end = document.period_end
    if end is None:
        year = document.classification.fiscal_year
        end = date(year, 12, 31) if year else None
    if end is None:
        return document.published_on or date.min
    told = document.published_on
    return told if told is not None and end < told <= end + LATEST else end
