"""What web sites and PDFs put into text that PostgreSQL does not take: NUL and lone surrogates."""

from __future__ import annotations

import re
from typing import Any

import orjson

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# An escaped backslash may stand before "u0000" without meaning a NUL.
_NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def clean_text(value: str) -> str:
    """The text with U+FFFD for what ``text`` cannot hold. Source: PostgreSQL documentation, 8.3."""
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.replace("\0", _REPLACEMENT)


def dump_json(value: Any) -> str:
    """JSON that ``jsonb`` takes. Source: PostgreSQL documentation, 8.14."""
    try:
        dumped = orjson.dumps(value)
    except TypeError:
        dumped = orjson.dumps(_clean(value))
    written = dumped.decode()
    return _NUL_ESCAPE.sub(rf"\1{_REPLACEMENT}", written) if "\\u0000" in written else written


def load_json(value: str | bytes) -> Any:
    """The value of a ``jsonb`` column."""
    return orjson.loads(value)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**64 else float(value)
    return value
