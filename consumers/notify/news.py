"""A watch tells of news only: a job whose spec says ``watch: true`` is silent unless its result has ``news``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.record import JobRecord


def is_silent(record: JobRecord, payload: Any) -> bool:
    """Whether nobody is to be told of a job's end.

    Args:
        record: The job's.
        payload: Its result; None when it has none, as when it failed: that is no news, and the job itself shows it.
    """
    spec = record.spec
    if not isinstance(spec, dict) or spec.get("watch") is not True:
        return False
    return not news_in(payload)


def news_in(payload: Any) -> list[str]:
    """What a result calls news, a line each."""
    news = payload.get("news") if isinstance(payload, dict) else None
    lines = news.get("lines") if isinstance(news, dict) else None
    return [str(line) for line in lines] if isinstance(lines, list) else []
