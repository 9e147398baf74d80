"""A finished job in words for people: subject, text and HTML of its mail. Pure."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

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
    shown = "\n".join(f"  - {line}" for line in _shown(details))
    return _template(outcome, "txt").substitute(_fields(outcome), details=f"\n{shown}\n" if shown else "")


def html_of(outcome: JobOutcome, details: Sequence[str]) -> str:
    """The mail as HTML; everything that a site or a user wrote is escaped."""
    shown = "".join(f"<li>{escape(line)}</li>" for line in _shown(details))
    fields = {name: escape(value) for name, value in _fields(outcome).items()}
    return _template(outcome, "html").substitute(fields, details=f"<ul>{shown}</ul>" if shown else "")


def _fields(outcome: JobOutcome) -> dict[str, str]:
    return {
        "job_id": outcome.job_id,
        "flow": outcome.flow,
        "said": _SAID[outcome.status],
        "error": outcome.error or "not known",
        "finished_at": f"{outcome.finished_at:%Y-%m-%d %H:%M:%S %Z}",
        "trace_id": outcome.trace_id or "none",
    }


def _shown(details: Sequence[str]) -> list[str]:
    lines = [" ".join(line.split())[:_LINE_CHARS] for line in details[:MAX_DETAILS]]
    left = len(details) - len(lines)
    return [*lines, f"and {left} more"] if left > 0 else lines


def _template(outcome: JobOutcome, kind: str) -> Template:
    return _read(f"{'finished' if outcome.status in _FINISHED else 'failed'}.{kind}")


@cache
def _read(name: str) -> Template:
    return Template(files("consumers.notify").joinpath("templates", name).read_text(encoding="utf-8"))
