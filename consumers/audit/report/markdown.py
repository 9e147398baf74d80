"""The report as Markdown. What a site, a model or a search engine said is escaped: it is text here, never markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from consumers.audit.geo_quality import told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from consumers.audit.report.model import ReportInput
    from schemas.audit_result import FixItem, Issue

MAX_PLAN: Final = 25
MAX_TOLD: Final = 15
"""Items of the plan that are told at length."""

MAX_ISSUES: Final = 40
MAX_ROWS: Final = 20
MAX_URLS: Final = 5
SHOWN_CHARS: Final = 160

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@])")
_TICKS: Final = re.compile(r"`+")
_METRICS: Final = (
    ("lcp_ms", "Largest Contentful Paint", 1_000, "s"),
    ("fcp_ms", "First Contentful Paint", 1_000, "s"),
    ("tbt_ms", "Total Blocking Time", 1, "ms"),
    ("cls", "Cumulative Layout Shift", 1, ""),
    ("speed_index_ms", "Speed Index", 1_000, "s"),
    ("ttfb_ms", "Server response", 1, "ms"),
)


def plain(text: object, most: int = SHOWN_CHARS) -> str:
    """Text from outside as Markdown that shows just that."""
    line = " ".join(str(text).split())
    line = line if len(line) <= most else line[: most - 1] + "…"
    return _SPECIAL.sub(r"\\\1", line)


def code(text: object, most: int = SHOWN_CHARS) -> str:
    """Text from outside as a code span, whatever backticks it has; empty for none."""
    line = " ".join(str(text).split())
    line = line if len(line) <= most else line[: most - 1] + "…"
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in _TICKS.findall(line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join(lines)


def report_markdown(given: ReportInput) -> str:
    """The whole report."""
    sections = [
        _summary(given),
        _changes(given),
        _plan(given.result.fix_plan, given.result.pages.html),
        _issues(given.result.issues),
        _pagespeed(given.parts.get("pagespeed")),
        _geo(given),
        _competitors(given.parts.get("competitors")),
        _coverage(given),
    ]
    title = f"# Website audit: {plain(given.name)}"
    return "\n\n".join([title, *(section for section in sections if section)]) + "\n"


def _summary(given: ReportInput) -> str:
    result = given.result
    pages = result.pages
    worst = [one for one in result.issues if one.severity in {"critical", "high"} and one.count]
    told = (
        f"{plain(given.name)} scores **{result.scores.overall:.0f} of 100**. {pages.crawled} addresses were read, "
        f"{pages.html} of them pages; {pages.indexable} of these may be listed by search engines. "
        f"{result.issue_count} findings of {result.rules.get('failed', 0)} rules, "
        f"{sum(one.count for one in worst)} of them critical or high."
    )
    lines = [
        "## Summary",
        told,
        "![Overall score](chart:overall)",
        "![Score by category](chart:categories)",
    ]
    if any(one.count for one in result.issues):
        lines += ["Findings by severity:", "![Findings by severity](chart:severities)"]
    if result.fix_plan:
        lines.append("Where to begin:")
        lines.append(
            "\n".join(
                f"{n}. {plain(one.title, 200)} ({_pages(one.pages)})" for n, one in enumerate(result.fix_plan[:5], 1)
            )
        )
    if not result.is_complete:
        lines.append(f"The audit ended at its page budget: {pages.dropped} further addresses were found and not read.")
    return "\n\n".join(lines)


def _worded(item: FixItem) -> str:
    """A language model's words, as text that cannot be markup."""
    return f" {_sentence(plain(item.wording, 800))}" if item.wording else ""


def _changes(given: ReportInput) -> str:
    comparison = given.result.comparison
    if comparison is None:
        return ""
    change = comparison.score_change
    told = (
        ""
        if change is None
        else f" The score went from {comparison.score_before:.0f} to {given.result.scores.overall:.0f}."
    )
    lines = [
        "## Since the last audit",
        f"{comparison.fixed} findings were fixed, {comparison.new} are new, {comparison.persisting} persist.{told}",
    ]
    if len(given.history) > 1:
        lines.append("![Score over time](chart:history)")
    if given.fixed:
        lines += ["Fixed:", "\n".join(f"- {code(one.rule)} on {plain(one.url)}" for one in given.fixed[:MAX_ROWS])]
    return "\n\n".join(lines)


def _plan(plan: Sequence[FixItem], pages: int) -> str:
    if not plan:
        return "## What to do\n\nNothing: no rule failed."
    parts = [
        "## What to do",
        f"Grouped by cause, the most effect for the least effort first; {pages} pages were judged.",
        table(
            ("#", "What", "Severity", "Pages", "Effect", "Effort"),
            (
                (str(n), plain(one.title, 140), one.severity, str(one.pages), f"{one.effect:.0f}", one.effort)
                for n, one in enumerate(plan[:MAX_PLAN], 1)
            ),
        ),
    ]
    for n, one in enumerate(plan[:MAX_TOLD], 1):
        parts += [
            f"### {n}. {plain(one.title, 200)}",
            f"{_sentence(one.change)}{_worded(one)} Cause: {plain(one.cause)}.",
        ]
        if one.example is not None:
            shown = code(one.example.snippet) or plain(one.example.detail, 200)
            parts.append(f"Example on {plain(one.example.url)}: {shown}")
        if len(one.urls) > 1:
            more = f" and {one.pages - MAX_URLS} more" if one.pages > MAX_URLS else ""
            parts.append("Pages: " + ", ".join(plain(url) for url in one.urls[:MAX_URLS]) + more)
    if len(plan) > MAX_PLAN:
        parts.append(f"{len(plan) - MAX_PLAN} further items are in the list of issues.")
    return "\n\n".join(parts)


def _issues(issues: Sequence[Issue]) -> str:
    found = [one for one in issues if one.count]
    if not found:
        return ""
    rows = (
        (code(one.rule), one.category, one.severity, str(one.pages), str(one.count), plain(one.about, 140))
        for one in found[:MAX_ISSUES]
    )
    more = f"\n\n{len(found) - MAX_ISSUES} further rules failed." if len(found) > MAX_ISSUES else ""
    return "## Issues by rule\n\n" + table(("Rule", "Category", "Severity", "Pages", "Findings", "What"), rows) + more


def _pagespeed(part: dict[str, Any] | None) -> str:
    if part is None:
        return ""
    if part.get("status") == "not_measured":
        return f"## Speed\n\nNot measured: {plain(part.get('reason', ''), 300)}"
    lines = ["## Speed"]
    runs = [part[one] for one in ("mobile", "desktop") if isinstance(part.get(one), dict)]
    head = ("", *(run["strategy"] for run in runs))
    rows: list[tuple[str, ...]] = []
    rows += [
        (name.replace("_", " "), *(str(run["scores"].get(name, "-")) for run in runs))
        for name in ("performance", "accessibility", "best_practices", "seo")
    ]
    for key, title, scale, unit in _METRICS:
        cells = [f"{run['metrics'][key] / scale:.2f} {unit}".strip() if key in run["metrics"] else "-" for run in runs]
        rows.append((title, *cells))
    lines.append(table(head, rows))
    lines.append(f"Measured by {plain(runs[0]['source'])} {plain(runs[0]['version'])}." if runs else "")
    for run in runs[:1]:
        if run["opportunities"]:
            lines += [
                "What would save most, on a mobile phone:",
                "\n".join(
                    f"- {plain(one['title'])}: {one['savings_ms']} ms, {one['savings_bytes'] // 1024} KiB"
                    for one in run["opportunities"]
                ),
            ]
    return "\n\n".join(line for line in lines if line)


def _geo(given: ReportInput) -> str:
    parts, geo = given.parts, given.result.geo
    blocks = list(_geo_blocks(parts, geo))
    return "\n\n".join(["## Search and answer engines", *blocks]) if blocks else ""


def _geo_blocks(parts: dict[str, Any], geo: dict[str, Any]) -> Iterator[str]:
    if crawlers := geo.get("ai_crawlers"):
        rows = [(code(name), "allowed" if is_allowed else "blocked") for name, is_allowed in crawlers.items()]
        yield "### Crawlers of language models\n\n" + table(("Agent", "The start page"), rows)
    if found := told_of(geo):
        yield "### What they find on the site\n\n" + "\n".join(f"- {plain(line, 300)}" for line in found)
    if keywords := (parts.get("keywords") or {}).get("terms"):
        terms = [(plain(one["term"]), f"{one['weight']:.2f}", str(one["pages"])) for one in keywords[:MAX_ROWS]]
        yield "### Keywords\n\n" + table(("Term", "Weight", "Pages"), terms)
    for kind, (title, tell) in _TOLD.items():
        part = parts.get(kind)
        if part is None:
            continue
        if part.get("status") != "measured":
            yield f"### {title}\n\nNot measured: {plain(part.get('reason', ''), 300)}"
        else:
            yield f"### {title}\n\n" + tell(part)


def _rankings(part: dict[str, Any]) -> str:
    rows = [
        (
            plain(one["keyword"]),
            str(one["position"]) if one["position"] else f"beyond {one['depth']}",
            plain(one.get("url") or "-"),
        )
        for one in part["keywords"][:MAX_ROWS]
    ]
    return f"Asked of {plain(part['source'])}.\n\n" + table(("Keyword", "Position", "Page"), rows)


def _backlinks(part: dict[str, Any]) -> str:
    told = f"{part['referring_domains']} domains link to {plain(part['domain'])}, by {plain(part['source'])}."
    rows = [(plain(one["domain"]), str(one.get("rank") or "-")) for one in part["domains"][:MAX_ROWS]]
    return told + ("\n\n" + table(("Domain", "Rank"), rows) if rows else "")


def _visibility(part: dict[str, Any]) -> str:
    low, high = part["interval"]
    told = (
        f"{part['mentions']} of {part['answers']} answers of {plain(part['model'])} name the brand "
        f"({100 * part['rate']:.0f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f} %); "
        f"{part['citations']} cite the site."
    )
    rows = [
        (plain(one["question"]), f"{one['mentions']} of {one['samples']}", str(one.get("first_position") or "-"))
        for one in part["questions"][:MAX_ROWS]
    ]
    return told + "\n\n" + table(("Question", "Named", "First place"), rows)


_TOLD: Final[dict[str, tuple[str, Callable[[dict[str, Any]], str]]]] = {
    "rankings": ("Rankings", _rankings),
    "backlinks": ("Backlinks", _backlinks),
    "visibility": ("Visibility in language models", _visibility),
}


def _competitors(part: dict[str, Any] | None) -> str:
    found = (part or {}).get("sites") or []
    if not found:
        return ""
    rows = [
        (
            plain(one["domain"]),
            f"{one['score']:.0f}" if one.get("score") is not None else "-",
            str(one.get("words", "-")),
            str(one.get("links", "-")),
            ", ".join(plain(name) for name in one.get("markup", [])[:4]) or "-",
        )
        for one in found
    ]
    return "## Competitors\n\nTheir start pages, by the same rules.\n\n" + table(
        ("Site", "Score", "Words", "Links", "Structured data"), rows
    )


def _coverage(given: ReportInput) -> str:
    result = given.result
    lines = ["## How this was measured", plain(result.scores.formula, 1_000)]
    if result.scores.deductions:
        rows = [
            (code(one.rule), one.category, f"{one.points:.1f}", plain(one.reason))
            for one in result.scores.deductions[:30]
        ]
        lines += ["What was taken from the scores:", table(("Rule", "Category", "Points", "Why"), rows)]
    if result.not_measured:
        rules = ", ".join(code(one.rule) for one in result.not_measured[:60])
        lines.append(f"Not measured, and so neither passed nor failed: {rules}.")
    if result.missing:
        lines += ["Could not be had:", "\n".join(f"- {plain(one, 200)}" for one in result.missing[:MAX_ROWS])]
    return "\n\n".join(lines)


def _pages(count: int) -> str:
    return "1 page" if count == 1 else f"{count} pages"


def _sentence(text: str) -> str:
    shown = plain(text, 400)
    return shown if shown.endswith((".", "\\.")) else shown + "."
