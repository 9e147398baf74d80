"""Find the pages of a report that carry its consolidated primary statements.

Rules that a reader of reports would recognise: the page is titled as the statement, carries the lines that
the statement must have, is mostly numbers rather than sentences, is not a parent-only, guarantor or quarterly
schedule, and the three stand close together.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.filings.vocabulary import (
    ANCHORS,
    CLOSES,
    CONSOLIDATED,
    CONTINUED,
    INTERIM,
    OTHER_TITLES,
    PARENT_ONLY,
    TITLES,
)
from schemas.filings import STATEMENT_KINDS, StatementKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_AMOUNT: Final = re.compile(
    r"\(?\d{1,3}(?:[,.'\u2019 \u00a0\u202f]\d{3})+\)?|(?<![\w.])\(?\d{1,3}(?:[.,]\d{1,2})?\)?(?![\w%.])"
)
_ENDS_IN_AMOUNT: Final = re.compile(r"\d[\d,.]*\)?$")
_COMPREHENSIVE: Final = re.compile(r"comprehensive", re.IGNORECASE)
_NOTES_HEAD: Final = re.compile(r"notes?\s+to\s+(?:the\s+)?|\d+\.\s", re.IGNORECASE)
_TITLE_LENGTH: Final = 130
_TITLE_INDENT: Final = 60
_MOST_AMOUNTS: Final = 80
_SENTENCE: Final = 90
_MIN_AMOUNTS: Final = 12
_MIN_ANCHORS: Final = 3
_KEPT_PER_KIND: Final = 8
_NEAR: Final = 8
_TOP_LINES: Final = 14
_MIN_CONTINUED_AMOUNTS: Final = 4
_MOST_PAGES: Final = 5
_MIN_SCORE: Final = 8.0
_MANY_ANCHORS: Final = 5
_MANY_AMOUNTS: Final = 25
_LITTLE_PROSE: Final = 4
_UNTITLED: Final = -6.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Pages, one after another, that may carry a statement; the higher the score, the likelier."""

    kind: StatementKind
    pages: tuple[int, ...]
    score: float
    title: str


@dataclass(frozen=True, slots=True)
class PageLook:
    """What is kept of a page after a first look at its text.

    Attributes:
        titles: The statements it is titled as, with the title.
        anchors: Which of their usual lines it carries.
        closes: The statements whose last lines it carries.
        untitled: The statements it may be though no title can be read, as where titles are drawn as pictures.
        opens_other: It opens another part of the report, as the notes.
        continued: It says that it carries on.
        doubt: What speaks against a primary statement, added to scores; not above 0.
    """

    page: int
    amounts: int
    titles: Mapping[StatementKind, str]
    anchors: Mapping[StatementKind, frozenset[int]]
    closes: frozenset[StatementKind]
    opens_other: bool
    continued: bool
    doubt: float
    untitled: frozenset[StatementKind] = frozenset()


def look(page: int, text: str) -> PageLook:
    """Look at a page by its text alone."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    amounts = len(_AMOUNT.findall(text))
    if amounts < _MIN_CONTINUED_AMOUNTS:
        return PageLook(page, amounts, {}, {}, frozenset(), opens_other=False, continued=False, doubt=0.0)
    flat = " ".join(lines)
    titles: dict[StatementKind, str] = {}
    for kind in STATEMENT_KINDS:
        title = _title(kind, lines) if TITLES[kind].search(flat) else None
        if title is not None:
            titles[kind] = title
    top = lines[:_TOP_LINES]
    closes = frozenset(kind for kind in STATEMENT_KINDS if CLOSES[kind].search(text))
    anchors = {k: _anchors(k, text) for k in titles}
    untitled: frozenset[StatementKind] = frozenset()
    if amounts >= _MANY_AMOUNTS and _prose(lines) <= _LITTLE_PROSE:
        found = {kind: _anchors(kind, text) for kind in closes - titles.keys()}
        untitled = frozenset(kind for kind, words in found.items() if len(words) >= _MANY_ANCHORS)
        anchors |= {kind: found[kind] for kind in untitled}
    return PageLook(
        page,
        amounts,
        titles,
        anchors,
        closes=closes,
        opens_other=any(OTHER_TITLES.search(line) for line in top),
        continued=CONTINUED.search("\n".join(top)) is not None,
        doubt=_doubt(lines) if titles or untitled else 0.0,
        untitled=untitled,
    )


def _anchors(kind: StatementKind, text: str) -> frozenset[int]:
    return frozenset(i for i, anchor in enumerate(ANCHORS[kind]) if anchor.search(text))


def _prose(lines: list[str]) -> int:
    """How many lines are sentences rather than a table's."""
    return sum(len(line) > _SENTENCE and _ENDS_IN_AMOUNT.search(line) is None for line in lines)


def _doubt(lines: list[str]) -> float:
    """Sentences, headings of notes, and headings of parent-only, condensed or pro-forma schedules."""
    doubt = -0.8 * _prose(lines)
    if any(PARENT_ONLY.search(line) for line in lines[:6]):
        doubt -= 10
    elif any(INTERIM.search(line) for line in lines[:6]):
        doubt -= 3
    if any(_NOTES_HEAD.match(line) for line in lines[:8]):
        doubt -= 6
    return doubt


def _title(kind: StatementKind, lines: list[str]) -> str | None:
    """The line that titles the page as this statement; a title may be broken over two lines."""
    for first, second in itertools.pairwise([*lines, ""]):
        for line in (first, f"{first} {second}"):
            match = TITLES[kind].search(line)
            if line is not first and TITLES[kind].search(second):
                continue
            if (
                match
                and len(line) <= _TITLE_LENGTH
                and match.start() <= _TITLE_INDENT
                and not re.search(r"\.{4}|\b(?:see|accompanying|integral part)\b", line, re.IGNORECASE)
                and not re.search(r"\d[\d,.]*\)?\s+\(?\d[\d,.]*\)?$", line)
            ):
                return line
    return None


def candidates(looks: Mapping[int, PageLook]) -> list[Candidate]:
    """Every run of pages that may carry a statement.

    A run begins on a page titled as the statement and takes in the pages that carry it on. Of a statement that no such
    page is titled as, the pages that carry its lines are taken.
    """
    found: list[Candidate] = []
    for kind in STATEMENT_KINDS:
        carried: set[int] = set()
        for page, first in sorted(looks.items()):
            if kind in first.titles and page not in carried:
                pages = (page, *_continuation(kind, first, looks))
                carried.update(pages[1:])
                score = _score(kind, [looks[each] for each in pages], first.titles[kind])
                if score >= _MIN_SCORE:
                    found.append(Candidate(kind, pages, score, first.titles[kind]))
        if not any(candidate.kind == kind for candidate in found):
            found += _untitled(kind, looks)
    return found


def _untitled(kind: StatementKind, looks: Mapping[int, PageLook]) -> list[Candidate]:
    found = []
    for page, first in sorted(looks.items()):
        if kind in first.untitled:
            score = _score(kind, [first], "") + _UNTITLED
            if score >= _MIN_SCORE:
                found.append(Candidate(kind, (page,), score, ""))
    return found


def _continuation(kind: StatementKind, first: PageLook, looks: Mapping[int, PageLook]) -> list[int]:
    """The pages that carry on the statement that begins on a page.

    A page carries on when it says so, or when the statement has not come to its last lines yet; never when it
    opens another statement or the notes.
    """
    pages: list[int] = []
    done = kind in first.closes
    for page in range(first.page + 1, first.page + _MOST_PAGES):
        following = looks.get(page)
        if following is None or following.amounts < _MIN_CONTINUED_AMOUNTS or following.opens_other:
            break
        says_so = following.continued and kind in following.titles
        if not says_so and (done or kind not in following.closes or set(following.titles) - {kind}):
            break
        pages.append(page)
        done = done or kind in following.closes
    return pages


def _score(kind: StatementKind, pages: Sequence[PageLook], title: str) -> float:
    anchors = len(frozenset().union(*(page.anchors.get(kind, frozenset()) for page in pages)))
    amounts = sum(page.amounts for page in pages)
    if anchors < _MIN_ANCHORS or amounts < _MIN_AMOUNTS:
        return 0.0
    score = 3.0 * anchors + min(amounts, _MOST_AMOUNTS) / 20 + sum(page.doubt for page in pages)
    if CONSOLIDATED.search(title):
        score += 4
    if PARENT_ONLY.search(title):
        score -= 10
    elif INTERIM.search(title):
        score -= 3
    if kind == "income_statement" and _COMPREHENSIVE.search(title):
        score -= 4
    if pages[0].continued:
        score -= 5
    return score


def choose(looks: Mapping[int, PageLook]) -> dict[StatementKind, Candidate]:
    """The best pages for each statement, chosen together so that those near each other win."""
    found = candidates(looks)
    by_kind: list[list[Candidate | None]] = []
    for kind in STATEMENT_KINDS:
        best_first = sorted((c for c in found if c.kind == kind), key=lambda c: -c.score)
        by_kind.append([*best_first[:_KEPT_PER_KIND], None])
    best = max(itertools.product(*by_kind), key=_together)
    return {c.kind: c for c in best if c is not None}


def _together(choice: tuple[Candidate | None, ...]) -> float:
    present = [c for c in choice if c is not None]
    total = sum(c.score for c in present)
    for one, other in itertools.combinations(present, 2):
        distance = abs(one.pages[0] - other.pages[0])
        total += 5 if distance <= _NEAR else -min(distance / 4, 15)
    return total
