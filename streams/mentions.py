"""Words that are to be forgotten: which values hold them, and what is left of an entry without those. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

LEAST_CHARS: Final = 3
"""Shorter words stand everywhere."""

ERASED_TEXT: Final = "erased"
ERASED_KEY: Final = "$erased"
ERASED_DATA: Final = f'{{"v":1,"{ERASED_KEY}":true}}'
"""Takes the place of a payload: no handler reads it, and a replay refuses it."""

_RUN: Final = re.compile(r"[a-z0-9]{3,}")
_WORD_ENDS: Final = r"(?!\w)"
_URL_ENDS: Final = r"(?![\w/?#&=%~-]|\.\w)"
"""An address is not mentioned by a longer one that begins with it."""

_PLAIN: Final = frozenset(
    {
        "type", "job", "task", "flow", "tenant", "revision", "stage", "stream", "attempt", "delivery", "deliveries",
        "worker", "consumer", "started_at", "traceparent", "status", "due_at", "dlq", "lane", "parent", "until_stage",
        "origin", "replay", "collected", "missing", "percent", "entry", "redriven",
    }
)  # fmt: skip
"""Fields of an entry that say what happened to whom, and nothing of what it was about."""


_E164: Final = re.compile(r"\+([1-9]\d{6,14})")
_SEPARATOR: Final = r"(?:[\s().\-/\u00a0\u202f\u2011]|%20|&nbsp;){0,4}"
"""What people write between the digits of a number."""
_LONG_CODE: Final = re.compile(r"2[1-689]|3[578]|42|5[09]|6[7-9]|8[0578]|9[679]")
"""How country codes of three digits begin; those with 1 and 7 have one, the rest two.

Source: ITU-T E.164, list of assigned country codes.
"""
_TAIL: Final = 7
_NO_DIGIT: Final = re.compile(rb"\D+")
_ESCAPED: Final = re.compile(rb"\\+u[0-9a-f]{4}|%20", re.IGNORECASE)


def number_pattern(e164: str) -> str:
    """A pattern for a phone number in whatever way people write it: with its country's code or without.

    Args:
        e164: ``+`` and 7 to 15 digits.
    """
    digits = e164.removeprefix("+")
    code = 1 if digits[0] in "17" else 3 if _LONG_CODE.match(digits) else 2
    country = f"(?:\\+|00|%2B)?{_SEPARATOR.join(digits[:code])}{_SEPARATOR}(?:\\(0\\))?{_SEPARATOR}"
    return rf"(?<!\d)(?:{country}|0{_SEPARATOR})?{_SEPARATOR.join(digits[code:])}(?!\d)"


class Mentions:
    """Tells what mentions some words: as whole words, in small or large letters.

    Args:
        words: Each of `LEAST_CHARS` characters at least: ids, addresses, names, numbers as they are written; a phone
            number in E.164 stands for every way to write it. None: all that there is mentions them.

    Attributes:
        claims: Digests of payloads put aside that mention them; a claim check of one does so too.

    Raises:
        ValueError: A word is too short.
    """

    def __init__(self, words: Iterable[str]) -> None:
        kept = sorted({word.strip() for word in words}, key=len, reverse=True)
        if any(len(word) < LEAST_CHARS for word in kept):
            raise ValueError(f"a word that is to be erased has {LEAST_CHARS} characters at least; shorter ones are in")
        self.claims: set[str] = set()
        numbers = [word for word in kept if _E164.fullmatch(word)]
        parts = [number_pattern(word) if word in numbers else _pattern(word) for word in kept]
        self._words = re.compile("|".join(parts), re.IGNORECASE)
        self.is_everything = not kept
        self._tails = [word[-_TAIL:].encode() for word in numbers]
        runs = [max(_RUN.findall(word.lower()), key=len, default="") for word in kept if word not in numbers]
        self._is_quick = all(runs)
        self._runs = [run.encode() for run in runs]

    def may_be_in(self, raw: bytes) -> bool:
        """Whether it is worth to parse some JSON; however it was quoted."""
        if self.is_everything or not self._is_quick or b"$claim" in raw:
            return True
        small = raw.lower()
        if any(run in small for run in self._runs):
            return True
        # Separators may be escaped, with digits of their own.
        digits = _NO_DIGIT.sub(b"", _ESCAPED.sub(b"", raw)) if self._tails else b""
        return any(tail in digits for tail in self._tails)

    def text(self, text: str) -> bool:
        """Whether a text mentions them; of JSON, whether a value in it does."""
        if self.is_everything:
            return True
        if text[:1] in {"{", "["}:
            try:
                return self.value(orjson.loads(text))
            except orjson.JSONDecodeError:
                pass
        return self._words.search(text) is not None

    def value(self, value: Any) -> bool:
        """Whether a JSON value mentions them: in a text, in a name, in a payload put aside."""
        match value:
            case str():
                return self.text(value)
            case dict():
                claim = value.get("$claim")
                return claim in self.claims or any(self.text(key) or self.value(one) for key, one in value.items())
            case list():
                return any(map(self.value, value))
            case int() | float() if not isinstance(value, bool):
                return self.is_everything or self._words.search(str(value)) is not None
            case _:
                return self.is_everything

    def without(self, value: Any) -> Any:
        """A JSON value without what mentions them: such items of lists and members are left out, texts replaced."""
        match value:
            case str():
                return ERASED_TEXT if self.text(value) else value
            case dict():
                return {key: self.without(one) for key, one in value.items() if not self.text(key)}
            case list():
                return [self.without(one) for one in value if not self.value(one)]
            case _:
                return value

    def spec(self, value: Any) -> Any:
        """What was asked, without such items of its lists; erased as a whole when that does not suffice."""
        kept = self._without_items(value)
        return _ERASED if kept is None else kept

    def spec_text(self, text: str) -> str:
        """As `spec`, of JSON; what mentions nothing stays to the letter."""
        if text == ERASED_DATA or not self.text(text):
            return text
        try:
            return orjson.dumps(self.spec(orjson.loads(text))).decode()
        except orjson.JSONDecodeError:
            return ERASED_DATA

    def _without_items(self, value: Any) -> Any:
        """None when more than items of lists mention them, or when a list would be left empty."""
        if self.is_everything or not isinstance(value, dict):
            return None if self.value(value) else value
        kept: dict[str, Any] = {}
        for key, one in value.items():
            if isinstance(one, list):
                kept[key] = [item for item in one if not self.value(item)]
                if one and not kept[key]:
                    return None
            else:
                kept[key] = self._without_items(one)
                if self.text(key) or (kept[key] is None and one is not None):
                    return None
        return kept

    def fields(self, fields: Mapping[str, str]) -> dict[str, str] | None:
        """A lifecycle entry without what mentions them; None when nothing in it does.

        A payload that does goes as a whole. What the entry tells of its job and task stays.
        """
        changed: dict[str, str] = {}
        for name, text in fields.items():
            if name in _PLAIN or not text:
                continue
            if name == "emitted":
                kept = self._emitted(text)
            elif name == "spec":
                kept = self.spec_text(text)
            elif name == "data":
                kept = ERASED_DATA if self.text(text) else text
            else:
                kept = ERASED_TEXT if self.text(text) else text
            if kept != text:
                changed[name] = kept
        return {**fields, **changed} if changed else None

    def _emitted(self, text: str) -> str:
        try:
            rows = orjson.loads(text)
        except orjson.JSONDecodeError:
            return "[]" if self.text(text) else text
        told = [row if not self._opens(row) else {**_without_once(row), "data": _ERASED} for row in rows]
        return orjson.dumps(told).decode() if told != rows else text

    def _opens(self, row: Mapping[str, Any]) -> bool:
        is_erased = row.get("data") == _ERASED
        return self.value(row.get("once", "")) or (not is_erased and self.value(row.get("data")))


_ERASED: Final = {"v": 1, ERASED_KEY: True}


def _pattern(word: str) -> str:
    ends = _URL_ENDS if "://" in word else _WORD_ENDS
    return rf"(?<!\w){re.escape(word)}{ends}"


def is_erased(data: bytes) -> bool:
    """Whether a payload was erased."""
    return data.replace(b" ", b"") == ERASED_DATA.encode()


def _without_once(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "once"}
