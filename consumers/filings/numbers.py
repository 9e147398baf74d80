"""Printed amounts: tell them from other words and read their value."""

from __future__ import annotations

import re
from decimal import Decimal

DASHES = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
CURRENCY_SIGNS = ("US$", "C$", "A$", "HK$", "S$", "R$", "$", "£", "€", "¥", "₹", "CHF", "EUR", "USD", "GBP")

MAX_DIGITS = 15
"""More digits than any amount has; such a word is an identifier."""

_DASH_CHARS = 3
_SPACES = "\u00a0\u2007\u2009\u202f "
_QUOTES = "'\u2019\u2018\u00b4"
_DIGIT_GROUPS = re.compile(rf"\d{{1,3}}(?:[{_SPACES}{_QUOTES}]\d{{3}})+(?:[.,]\d+)?|\d[\d.,]*")
_GROUPED = re.compile(r"^\d{1,3}(?: \d{3})+$|^\d{1,2}(?: \d{2})+ \d{3}$")
"""Groups of three digits; in India of two before the last three."""
_POINT_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.])")
_COMMA_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_COMMA_DECIMALS = re.compile(r"(?<![\d.,])\d+,\d{1,2}(?![\d.,])")
_POINT_DECIMALS = re.compile(r"(?<![\d.,])\d+\.\d{1,2}(?![\d.,])")
_AMOUNT = re.compile(
    rf"^(?P<open>\()?(?P<sign>[+\-\u2012\u2013\u2014\u2212])?\s*"
    rf"(?P<digits>{_DIGIT_GROUPS.pattern})"
    r"(?P<tail>\)?[-\u2212]?|[pc¢]\)?|\)[pc¢])(?P<note>\*{1,3}|[†‡])?$"
)


def is_dash(text: str) -> bool:
    """Whether the word is a dash that stands for zero, perhaps behind a currency sign."""
    bare = strip_currency(text).strip("() ")
    return bool(bare) and len(bare) <= _DASH_CHARS and all(char in DASHES for char in bare)


def strip_currency(text: str) -> str:
    """The word without currency signs around it."""
    text = text.strip()
    for sign in CURRENCY_SIGNS:
        text = text.removeprefix(sign).removesuffix(sign).strip()
        if text.startswith(("(" + sign, "-" + sign)):
            text = text[0] + text[1 + len(sign) :].strip()
    return text


def read_amount(text: str, *, decimal_comma: bool = False) -> Decimal | None:
    """The value of a printed amount; None when it is not one.

    Parentheses, a leading or a trailing minus make it negative; a lone dash is 0. Percentages,
    ordinals and "000" are not amounts.

    Args:
        text: A word, or words that belong together as "1 234".
        decimal_comma: The document writes 1.234,5 for what others write 1,234.5.
    """
    if is_dash(text):
        return Decimal(0)
    match = _AMOUNT.match(strip_currency(text))
    if match is None:
        return None
    digits = _plain_digits(match["digits"], decimal_comma=decimal_comma)
    if digits is None or re.match(r"0\d", digits) or len(digits.replace(".", "")) > MAX_DIGITS:
        return None
    if bool(match["open"]) != (")" in match["tail"]):
        return None
    negative = bool(match["open"])
    if match["sign"] not in (None, "+") or match["tail"].endswith(("-", "\u2212")):
        negative = True
    value = Decimal(digits)
    return -value if negative and value else value


def _plain_digits(digits: str, *, decimal_comma: bool) -> str | None:
    for char in _SPACES + _QUOTES:
        digits = digits.replace(char, "")
    group, point = (".", ",") if decimal_comma else (",", ".")
    whole, _, fraction = digits.partition(point)
    if point in fraction or group in fraction or digits.endswith(point):
        return None
    groups = whole.split(group)
    if len(groups) > 1 and not _GROUPED.match(" ".join(groups)):
        return None
    return "".join(groups) + (f".{fraction}" if fraction else "")


def uses_decimal_comma(text: str) -> bool:
    """Whether a text writes 1.234.567 or 1 234,5 rather than 1,234,567 or 1 234.5."""
    points = len(_POINT_GROUPS.findall(text)) + len(_COMMA_DECIMALS.findall(text))
    commas = len(_COMMA_GROUPS.findall(text)) + len(_POINT_DECIMALS.findall(text))
    return points > commas
