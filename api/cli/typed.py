"""What people type after an option, as values."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from api.cli.root import Usage

_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
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
