"""Log lines: JSON to stderr, or text for a person at a terminal, each with the job and trace it belongs to."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

import orjson

from streams.telemetry.redaction import MASK, is_secret, redact, redact_text
from streams.telemetry.spans import current_ids

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType

    Fields = Mapping[str, object]

_OWN_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS: Final = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_NO_FIELDS: Final[Fields] = {}

_fields: ContextVar[Fields] = ContextVar("millrace_log_fields", default=_NO_FIELDS)


class bind:  # noqa: N801 - used like a function: with bind(job_id=...)
    """Puts fields on every log line of this task of the event loop, and of the tasks that it starts.

    Takes effect at once; used with `with`, it is undone at the end. A later binding of the same name wins.
    The names that lines carry at their top: `job_id`, `task`, `stage`, `flow`.
    """

    __slots__ = ("_token",)

    def __init__(self, **fields: object) -> None:
        bound = _fields.get()
        self._token: Token[Fields] = _fields.set({**bound, **fields} if bound else fields)

    def __enter__(self) -> None:
        """Nothing more to do."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _fields.reset(self._token)


def bound() -> Fields:
    """The fields bound here and now."""
    return _fields.get()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, trace_id, span_id, bound fields, extras, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        head: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact_text(record.getMessage()),
        }
        line = head | _context_of(record) | head  # first in order, last in value: a field cannot replace them
        if failure := _failure_of(self, record):
            line["exception"] = failure
        try:
            return orjson.dumps(line, default=_text, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # an integer beyond 64 bits, a lone surrogate, a key of an odd type
            text = json.dumps(line, default=_text, skipkeys=True, ensure_ascii=False)
            return text.encode(errors="replace").decode()


class ConsoleFormatter(logging.Formatter):
    """Time, level, logger and message, then the fields as key=value; coloured when `colour`."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The text; an exception adds lines."""
        at = _time(record).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{key}={value}" for key, value in _context_of(record).items() if key != "span_id")
        level = self._paint(f"{record.levelname:<7}", _COLOURS.get(record.levelname))
        text = f"{at} {level} {record.name}: {redact_text(record.getMessage())}"
        if fields:
            text += "  " + self._paint(fields, "2")
        if failure := _failure_of(self, record):
            text += "\n" + failure
        return text

    def _paint(self, text: str, code: str | None) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code else text


def setup_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process to one place; calling it again replaces the last set-up.

    Args:
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        stream: Instead of stderr. A terminal gets the readable form (coloured unless NO_COLOR is set), all else JSON.

    Raises:
        ValueError: The level is none of these.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    is_terminal = stream.isatty()
    handler.setFormatter(ConsoleFormatter(colour="NO_COLOR" not in os.environ) if is_terminal else JsonFormatter())
    root = logging.getLogger()
    root.setLevel(level.upper())
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _context_of(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = {}
    ids = current_ids()
    if ids is not None:
        fields["trace_id"], fields["span_id"] = ids
    for key, value in _fields.get().items():
        fields[key] = MASK if is_secret(key) else redact(value)
    for key, value in vars(record).items():
        if key not in _OWN_ATTRIBUTES:
            fields[key] = MASK if is_secret(key) else redact(value)
    return fields


def _failure_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return redact_text("\n".join(parts))


def _text(value: object) -> str:
    return redact_text(str(value))
