"""From findings to what is told: issues by rule, scores, and what to do first. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from consumers.audit.rules import RULES, Status
from schemas.audit_result import SEVERITIES, Deduction, Example, FixItem, Issue, Scores, Severity, Unmeasured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from consumers.audit.rules import Rule
    from schemas.audit_result import AuditResult

MAX_EXAMPLES: Final = 5
MAX_URLS: Final = 50
MAX_DEDUCTIONS: Final = 200

POINTS: Final[dict[Severity, float]] = {"critical": 40, "high": 20, "medium": 8, "low": 3, "info": 0}
"""What a rule costs its category when it fails on every page that it applies to."""

WEIGHTS: Final[dict[Severity, float]] = {"critical": 10, "high": 6, "medium": 3, "low": 1, "info": 0.2}

FORMULA: Final = (
    "A category starts at 100. Every rule that fails takes points from its category: 40 when critical, 20 high, 8 "
    "medium, 3 low, 0 info, times (0.3 + 0.7 x the share of pages it applies to that fail). A category cannot fall "
    "below 0. The overall score is the mean of the categories in which at least one rule could be judged. What was "
    "not measured neither adds nor takes."
)

_EFFORT: Final[dict[str, str]] = {
    "crawlability": "medium", "indexability": "medium", "url": "high", "on-page": "low", "links": "low",
    "images": "low", "structured-data": "medium", "hreflang": "medium", "performance": "high", "security": "medium",
    "social": "low", "accessibility": "medium", "geo": "medium",
}  # fmt: skip
_EFFORT_COST: Final = {"low": 1.0, "medium": 2.0, "high": 4.0}


@dataclass(slots=True)
class RuleTally:
    """Findings of one rule over the site; bounded, however many there are."""

    count: int = 0
    ignored: int = 0
    urls: dict[str, None] = field(default_factory=dict)
    pages: int = 0
    examples: list[Example] = field(default_factory=list)
    targets: Counter[str] = field(default_factory=Counter)
    snippets: Counter[str] = field(default_factory=Counter)
    _last: str = ""

    def add(self, example: Example, count: int) -> None:
        """Count a finding; those of one page come one after the other."""
        self.count += count
        if example.url != self._last:
            self.pages += 1
            self._last = example.url
        if len(self.urls) < MAX_URLS:
            self.urls[example.url] = None
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)
        for counter, key in ((self.targets, example.target), (self.snippets, example.snippet)):
            if key and (key in counter or len(counter) < MAX_URLS):
                counter[key] += 1


def fingerprint_of(rule: str, url: str) -> str:
    """What makes an issue the same in every audit of a site."""
    return hashlib.sha256(f"{rule}\n{url}".encode()).hexdigest()[:32]


def severity_rank(rule: str) -> int:
    """0 for the worst."""
    return SEVERITIES.index(severity_of(rule))


def severity_of(rule: str) -> Severity:
    """How bad a rule's findings are."""
    severity: Severity = RULES[rule].severity.value
    return severity


def issues_of(tallies: Mapping[str, RuleTally]) -> tuple[Issue, ...]:
    """The rules that failed, the worst first, then those with the most pages."""
    failed = [
        Issue(
            rule=rule, category=RULES[rule].category, severity=severity_of(rule), about=RULES[rule].about,
            fix=RULES[rule].fix, pages=tally.pages, count=tally.count, ignored=tally.ignored,
            examples=tuple(tally.examples),
        )
        for rule, tally in tallies.items()
        if tally.count or tally.ignored
    ]  # fmt: skip
    return tuple(sorted(failed, key=issue_order))


def issue_order(issue: Issue) -> tuple[int, int, str]:
    """The worst first, then what is on the most pages."""
    return severity_rank(issue.rule), -issue.pages, issue.rule


def tallies_of(issues: Iterable[Issue]) -> dict[str, RuleTally]:
    """What is counted of issues that were told before; enough for scores, not for a fix plan."""
    return {
        one.rule: RuleTally(count=one.count, ignored=one.ignored, pages=one.pages, examples=list(one.examples))
        for one in issues
    }


def unmeasured_of(outcomes: Mapping[str, Counter[Status]], whys: Mapping[str, str]) -> tuple[Unmeasured, ...]:
    """The rules that could be put to nothing, and why."""
    return tuple(
        Unmeasured(rule=rule, reason=whys.get(rule) or f"needs {' and '.join(RULES[rule].needs)}")
        for rule, outcome in outcomes.items()
        if outcome[Status.NOT_MEASURED] and not outcome[Status.FAILED] and not outcome[Status.PASSED]
    )


def headline_of(result: AuditResult, *, has_report: bool) -> tuple[str, ...]:
    """The score, what there is to do, and where to read on."""
    by_severity = Counter(dict.fromkeys(SEVERITIES, 0))
    for one in result.issues:
        by_severity[one.severity] += one.count
    found = ", ".join(f"{count} {name}" for name, count in by_severity.items() if count)
    lines = [f"{result.url}: score {result.scores.overall:g} of 100, {result.issue_count} findings ({found or 'none'})"]
    if (than := result.comparison) is not None:
        lines.append(f"since the last audit: {than.new} new, {than.fixed} fixed, {than.persisting} as before")
    at = f"/api/v1/audits/{result.audit_id}"
    lines.append(f"below the API's address: {at}" + (f", the report at {at}/report.pdf" if has_report else ""))
    return tuple(lines)


def outcomes_of(outcomes: Mapping[str, Counter[Status]]) -> dict[str, dict[str, int]]:
    """Outcomes as the result has them."""
    return {rule: {one.value: n for one, n in counted.items() if n} for rule, counted in outcomes.items()}


def rule_counts(tallies: Mapping[str, RuleTally], outcomes: Mapping[str, Counter[Status]]) -> dict[str, int]:
    """How many rules failed, passed and were not measured."""
    return {
        "failed": sum(1 for one in tallies.values() if one.count),
        "not_measured": len(unmeasured_of(outcomes, {})),
        "passed": sum(1 for one in outcomes.values() if one[Status.PASSED] and not one[Status.FAILED]),
    }


def scores_of(tallies: Mapping[str, RuleTally], outcomes: Mapping[str, Counter[Status]]) -> Scores:
    """Scores by category and overall, every deduction explained; see `FORMULA`."""
    categories: dict[str, float] = {}
    deductions = []
    for name, rule in RULES.items():
        outcome, tally = outcomes.get(name, Counter()), tallies.get(name, RuleTally())
        judged = outcome[Status.FAILED] + outcome[Status.PASSED]
        if not judged and not tally.count:
            continue
        categories.setdefault(rule.category, 100.0)
        if not tally.count:
            continue
        deduction = _deduction(rule, tally, judged)
        categories[rule.category] = max(0.0, categories[rule.category] - deduction.points)
        if deduction.points:
            deductions.append(deduction)
    deductions.sort(key=lambda one: -one.points)
    rounded = {name: round(value, 1) for name, value in categories.items()}
    overall = round(sum(rounded.values()) / len(rounded), 1) if rounded else 0.0
    return Scores(overall=overall, categories=rounded, deductions=tuple(deductions[:MAX_DEDUCTIONS]), formula=FORMULA)


def _deduction(rule: Rule, tally: RuleTally, judged: int) -> Deduction:
    severity = severity_of(rule.id)
    pages = min(tally.pages, judged) if judged else 1
    share = min(1.0, pages / judged) if judged else 1.0
    points = round(POINTS[severity] * (0.3 + 0.7 * share), 2)
    of = f"on {pages} of {judged} pages" if rule.on_page is not None and judged else "for the site"
    return Deduction(rule=rule.id, category=rule.category, points=points, reason=f"{severity}, {of}")


def fix_plan_of(tallies: Mapping[str, RuleTally], pages: int) -> tuple[FixItem, ...]:
    """What to do, grouped by cause, the most effect for the least effort first."""
    items = []
    for name, tally in tallies.items():
        if not tally.count:
            continue
        rule, severity = RULES[name], severity_of(name)
        share = tally.pages / pages if pages else 1.0
        cause, is_one = _cause(tally, pages)
        effort = "low" if is_one else _EFFORT.get(rule.category, "medium")
        effect = round(min(100.0, WEIGHTS[severity] * 10 * (0.3 + 0.7 * min(1.0, share))), 1)
        items.append(
            FixItem(
                rule=name, title=rule.about, category=rule.category, severity=severity, cause=cause, effect=effect,
                effort=effort, pages=tally.pages, urls=tuple(tally.urls), example=tally.examples[0], change=rule.fix,
            )
        )  # fmt: skip
    return tuple(sorted(items, key=plan_order))


def plan_order(item: FixItem) -> tuple[float, str]:
    """The most effect for the least effort first."""
    return -item.effect / _EFFORT_COST[item.effort], item.rule


def _cause(tally: RuleTally, pages: int) -> tuple[str, bool]:
    """What the findings have in common, and whether one change cures them all."""
    for counter, what in ((tally.targets, "the same target"), (tally.snippets, "the same element")):
        if counter:
            common, times = counter.most_common(1)[0]
            if times > 1 and times >= 0.8 * sum(counter.values()) and tally.pages > 1:
                return f"{what} on {tally.pages} pages, most likely one template: {common[:200]}", True
    if pages > 3 and tally.pages >= 0.8 * pages:  # noqa: PLR2004 - nearly all
        return f"on {tally.pages} of {pages} pages: most likely their template", True
    return ("one page" if tally.pages == 1 else f"{tally.pages} pages, each for itself"), tally.pages == 1
