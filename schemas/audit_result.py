"""What an `audit` job publishes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PageCounts(_Result):
    """Pages by what became of them. `dropped` were found beyond the budget and not read."""

    crawled: int
    html: int
    indexable: int
    redirects: int
    errors: int
    blocked: int
    reused: int
    rendered: int
    dropped: int
    by_type: dict[str, int]


class Example(_Result):
    """One finding, to look at."""

    url: str
    detail: str
    snippet: str = ""
    target: str = ""


class Issue(_Result):
    """What one rule found on the site.

    Attributes:
        pages: On how many pages; `count` in all.
        state: Against the audit before: ``new``, ``persisting``; ``first`` without one.
        ignored: Findings that the site's owner decided to live with; not in `count`.
    """

    rule: str
    category: str
    severity: Severity
    about: str
    fix: str
    pages: int
    count: int
    ignored: int = 0
    examples: tuple[Example, ...] = ()


class Deduction(_Result):
    """What a rule costs its category, and why."""

    rule: str
    category: str
    points: float
    reason: str


class Scores(_Result):
    """0 to 100; `formula` says how they come about."""

    overall: float
    categories: dict[str, float]
    deductions: tuple[Deduction, ...]
    formula: str


class FixItem(_Result):
    """One thing to do: everything that has the same cause.

    Attributes:
        effect: 0 to 100, of what it brings.
        effort: ``low``, ``medium`` or ``high``.
        pages: How many it concerns.
        example: One of them.
        change: What to change.
        wording: The same for people, by a language model; empty without one, or when it said anything else.
    """

    rule: str
    title: str
    category: str
    severity: Severity
    cause: str
    effect: float
    effort: str
    pages: int
    urls: tuple[str, ...]
    example: Example | None
    change: str
    wording: str = ""


class Comparison(_Result):
    """Against the audit before."""

    previous: str
    new: int
    fixed: int
    persisting: int
    score_before: float | None
    score_change: float | None


class Unmeasured(_Result):
    """A rule that could not be put, and why."""

    rule: str
    reason: str


class AuditResult(_Result):
    """What an audit found.

    Attributes:
        url: The start page after its redirects.
        is_complete: Every page that was found was read.
        issues: By rule, the worst first.
        parts: What was measured beside the crawl, by kind; ``status`` is ``measured`` or ``not_measured``.
        geo: AI-crawler access, llms.txt, structured data, answerability, authorship, freshness.
        outcomes: Rule -> status -> pages that it was put to; of a rule of the site, once.
        headline: What a mail about it begins with, a line each.
        missing: What could not be had.
    """

    audit_id: str
    url: str
    website: str
    pages: PageCounts
    issue_count: int
    scores: Scores
    issues: tuple[Issue, ...]
    fix_plan: tuple[FixItem, ...]
    comparison: Comparison | None
    not_measured: tuple[Unmeasured, ...]
    rules: dict[str, int]
    geo: dict[str, Any]
    parts: dict[str, Any]
    is_complete: bool
    outcomes: dict[str, dict[str, int]] = {}
    headline: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
