"""An audit's result for people: scores, what to do first, what changed."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.audit_result import AuditResult

COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "bright_black", "info": "bright_black"}
GOOD, FAIR = 80, 50
BRIEF, WHOLE = 5, 30


def audit_parts(result: AuditResult, *, brief: bool) -> list[RenderableType]:
    """The summary; a brief one ends after the first five things to do."""
    pages, scores = result.pages, result.scores
    head = Text.assemble(
        (f"{result.url}  ", "bold"), (f"{scores.overall:.0f} of 100", f"bold {_colour(scores.overall)}"),
        (f"  {pages.crawled} addresses read, {pages.html} pages, {result.issue_count} findings", "bright_black"),
    )  # fmt: skip
    parts: list[RenderableType] = [Text(), head]
    categories = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for name, score in sorted(scores.categories.items(), key=lambda one: one[1]):
        categories.add_row(name, Text(f"{score:.0f}", _colour(score)))
    parts.append(categories)
    if result.comparison is not None:
        one = result.comparison
        change = f", score {one.score_change:+.0f}" if one.score_change is not None else ""
        parts.append(Text(f"Since the last audit: {one.fixed} fixed, {one.new} new, {one.persisting} persist{change}"))
    plan = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="What to do first", title_justify="left")
    for title in ("", "what", "severity", "pages", "effort"):
        plan.add_column(title, overflow="fold" if title == "what" else "ellipsis")
    for n, item in enumerate(result.fix_plan[: BRIEF if brief else WHOLE], 1):
        plan.add_row(
            str(n), Text(item.title), Text(item.severity, COLOURS[item.severity]), str(item.pages), item.effort
        )
    parts += [Text(), plan if result.fix_plan else Text("No rule failed.", "green")]
    if not brief:
        parts += _rest(result)
    return parts


def _rest(result: AuditResult) -> list[RenderableType]:
    parts: list[RenderableType] = [Text()]
    for kind, part in result.parts.items():
        status = part.get("status", "")
        told = f"{kind}: {status.replace('_', ' ')}"
        if status == "not_measured":
            told += f" ({part.get('reason', '')})"
        parts.append(Text(told, "bright_black"))
    if not result.is_complete:
        parts.append(Text(f"{result.pages.dropped} further addresses were found and not read (max_pages)", "yellow"))
    if result.not_measured:
        parts.append(Text(f"{len(result.not_measured)} rules could not be put; they count for nothing", "bright_black"))
    parts += [Text(f"Missing: {one}", "yellow") for one in result.missing[:10]]
    return parts


def _colour(score: float) -> str:
    return "green" if score >= GOOD else "yellow" if score >= FAIR else "red"
