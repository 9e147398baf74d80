"""Masks secrets in what leaves the process as a log line or a span. Pure.

Two rules: the value under a key that names a secret, and the user information of a URL. A filter of last resort;
secrets in settings are `SecretStr` and do not get here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

MASK: Final = "***"

_SECRET_WORDS: Final = frozenset(
    {"authorization", "apikey", "password", "passwd", "secret", "token", "cookie", "credential", "credentials"}
)
_SECRET_PAIRS: Final = ("api_key", "access_key", "private_key", "signing_key")
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_KEY_PATTERN = (
    r"[\w-]*(?:authorization|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|password|passwd|secret|token|cookie|credentials?)"
)
_ASSIGNMENT = re.compile(
    rf"""(?ix)
    (?P<name> (?<![\w-]) {_KEY_PATTERN} (?![\w-]) ["']? \s* [:=] \s* )
    (?P<value> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | (?:(?:bearer|basic|digest|token)\s+)? [^\s,;&"'}}\])]+ )
    """
)
_USER_INFO = re.compile(r"(?i)\b(?P<scheme>[a-z][a-z0-9+.-]{0,30}://)[^/?#\s\"'<>@]*(?:@[^/?#\s\"'<>@]*)*@")


@lru_cache(maxsize=4096)
def is_secret(key: str) -> bool:
    """Whether a key's value is masked: `password`, `X-Api-Key`, `accessToken`, `webhook_secret`; not `tokens_used`."""
    words = _CAMEL_HUMP.sub("_", key).lower().replace("-", "_").replace(".", "_")
    return not _SECRET_WORDS.isdisjoint(words.split("_")) or any(pair in words for pair in _SECRET_PAIRS)


def redact_text(text: str) -> str:
    """The text without URL user information and without what follows `password=`, `authorization:` and the like."""
    if "://" in text:
        text = _USER_INFO.sub(rf"\g<scheme>{MASK}@", text)
    if "=" in text or ":" in text:
        text = _ASSIGNMENT.sub(rf"\g<name>{MASK}", text)
    return text


def redact(value: object, *, depth: int = 6) -> object:
    """The value with every secret in it masked, copied where something changed.

    Args:
        value: Anything; mappings, lists and tuples are looked into, strings searched, the rest is kept.
        depth: Levels looked into; what lies deeper becomes its masked text.
    """
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        if depth == 0:
            return redact_text(str(value))
        return {
            key: MASK if isinstance(key, str) and is_secret(key) else redact(item, depth=depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        if depth == 0:
            return redact_text(str(value))
        return [redact(item, depth=depth - 1) for item in value]
    return value
