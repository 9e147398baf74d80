"""What people type after an option, as values."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from api.cli.root import Usage

_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
_TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_FORMS: Final = {1: "%H:%M", 2: "%H:%M:%S"}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def instant_ms(option: str, text: str | None) -> int:
    """A time, or how long ago it was, as milliseconds since the epoch; 0 when nothing was typed.

    Raises:
        Usage: It is neither.
    """
    if not text:
        return 0
    if ago := _AGO.fullmatch(text.strip()):
        return max(1, int((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1_000))
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise Usage(f"{option}: {text!r} is no time: 2h, 30m, 7d ago, or 2030-01-31T08:00:00Z") from None
    return max(1, int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1_000))


def seconds_of(option: str, text: str) -> int:
    """A length of time: ``90s``, ``30m``, ``2h``, ``1d``.

    Raises:
        Usage: It is none.
    """
    found = _AGO.fullmatch(text.strip())
    if found is None:
        raise Usage(f"{option}: {text!r} is no length of time: 90s, 30m, 2h, 1d")
    return int(found[1]) * _SECONDS[found[2]]


def past_ms(option: str, text: str, now: datetime) -> int:
    """An instant of the past, as milliseconds since the epoch.

    A time of day (``03:12``, ``03:12:30``) is the last one there was in the local time zone: today's, or yesterday's
    when today's is still to come. So is the day of a date and time without a zone (``2030-01-31T03:12``) the local one.
    ``2h``, ``30m`` and the like count back from now.

    Args:
        now: With any time zone.

    Raises:
        Usage: It is none of these, or is still to come.
    """
    typed = text.strip()
    if ago := _AGO.fullmatch(typed):
        return round((now.timestamp() - int(ago[1]) * _SECONDS[ago[2]]) * 1_000)
    try:
        if _TIME_OF_DAY.fullmatch(typed):
            of_day = datetime.strptime(typed, _FORMS[typed.count(":")]).time()  # noqa: DTZ007 - a time of day has no zone
            today = now.astimezone().date()
            meant = datetime.combine(today, of_day).astimezone()
            if meant > now:
                meant = datetime.combine(today - timedelta(days=1), of_day).astimezone()
        else:
            meant = datetime.fromisoformat(typed)
            meant = meant if meant.tzinfo else meant.astimezone()
    except ValueError:
        raise Usage(f"{option}: {text!r} is no time: 03:12, 2030-01-31T03:12, 2030-01-31T02:12Z, or 2h ago") from None
    if meant > now:
        raise Usage(f"{option}: {text} is still to come")
    return round(meant.timestamp() * 1_000)


def json_or_file(option: str, text: str) -> Any:
    """JSON, or what is in ``@FILE``.

    Raises:
        Usage: The file cannot be read, or it is no JSON.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise Usage(f"{option}: {text[1:]} cannot be read: {error.strerror}") from None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Usage(f"{option}: that is no JSON: {error}") from None
