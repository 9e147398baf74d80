"""A finished job in words for people: subject, text and HTML of its mail. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from consumers.notify.templates import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.outcomes import JobOutcome

MAX_DETAILS: Final = 20
"""Lines of what is missing that a mail shows; the result has all."""

_LINE_CHARS: Final = 500
_SAID: Final = {
    "succeeded": "is done",
    "partial": "is done, with something missing",
    "failed": "failed",
    "cancelled": "was cancelled",
    "expired": "expired before it could start",
}
_FINISHED: Final = frozenset({"succeeded", "partial"})


def subject_of(outcome: JobOutcome) -> str:
    """One line."""
    return f"Millrace: {outcome.flow} job {outcome.job_id} {_SAID[outcome.status]}"


def text_of(outcome: JobOutcome, details: Sequence[str]) -> str:
    """The mail as text."""
    return _rendered(outcome, details, "txt")


def html_of(outcome: JobOutcome, details: Sequence[str]) -> str:
    """The mail as HTML; everything that a site or a user wrote is escaped."""
    return _rendered(outcome, details, "html")


def page_of(text: str) -> str:
    """Plain text as a page of HTML: a paragraph for each block of lines."""
    blocks = [block.splitlines() for block in re.split(r"\n\s*\n", text.strip())]
    return render("letter.html", paragraphs=blocks)


def shown(details: Sequence[str], most: int = MAX_DETAILS) -> list[str]:
    """Lines as a mail shows them: each on one line and cut, the first `most`, and how many more there are."""
    lines = [" ".join(line.split())[:_LINE_CHARS] for line in details[:most]]
    left = len(details) - len(lines)
    return [*lines, f"and {left} more"] if left > 0 else lines


def _rendered(outcome: JobOutcome, details: Sequence[str], kind: str) -> str:
    fields: dict[str, Any] = {
        "job_id": outcome.job_id,
        "flow": outcome.flow,
        "said": _SAID[outcome.status],
        "error": outcome.error or "not known",
        "finished_at": f"{outcome.finished_at:%Y-%m-%d %H:%M:%S %Z}",
        "trace_id": outcome.trace_id or "none",
        "details": shown(details),
    }
    return render(f"{'finished' if outcome.status in _FINISHED else 'failed'}.{kind}", **fields)
