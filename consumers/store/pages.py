"""Cursor-paged lists."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import orjson

T = TypeVar("T")

MAX_LIMIT: Final = 1_000
_BIGINT: Final = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadCursorError(ValueError):
    """A cursor that no list gave out."""

    def __init__(self) -> None:
        super().__init__("the cursor is not one that a list returned as `next`; leave it out to begin anew")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items and the cursor for what follows, None at the end."""

    items: list[T]
    next: str | None


def checked_limit(limit: int) -> int:
    """The limit, when it is 1 to `MAX_LIMIT`; else `ValueError`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"limit is {limit}; it must be 1 to {MAX_LIMIT}")
    return limit


def write_cursor(*parts: str | int | datetime) -> str:
    """An opaque cursor for the place after an item."""
    plain = [(part - _EPOCH) // timedelta(microseconds=1) if isinstance(part, datetime) else part for part in parts]
    return base64.urlsafe_b64encode(orjson.dumps(plain)).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type) -> list[str | int | datetime]:
    """The parts of a cursor.

    Raises:
        BadCursorError: It does not have these kinds of parts.
    """
    try:
        plain: Any = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(plain, list) or len(plain) != len(kinds):
            raise BadCursorError
        return [_part(part, kind) for part, kind in zip(plain, kinds, strict=True)]
    except (binascii.Error, ValueError, OverflowError) as error:
        raise BadCursorError from error


def _part(part: Any, kind: type) -> str | int | datetime:
    if kind is datetime and type(part) is int:
        return _EPOCH + timedelta(microseconds=part)
    if kind is int and type(part) is int and abs(part) < _BIGINT:
        return part
    if kind is str and isinstance(part, str):
        return part
    raise BadCursorError
