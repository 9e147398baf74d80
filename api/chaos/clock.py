"""A wall clock that jumps, in this process alone: what a worker sees when somebody sets its machine's time."""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any, Final

_PACKAGES: Final = ("api", "consumers", "schemas", "streams")
_time, _time_ns = time.time, time.time_ns


class _Clock:
    offset_s = 0.0


class _Kind(type(dt.datetime)):  # type: ignore[misc]
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _datetime)


_datetime = dt.datetime


class _Shifted(dt.datetime, metaclass=_Kind):
    """`datetime` whose `now` has jumped."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return _datetime.fromtimestamp(time.time(), tz)


def jump_to(offset_s: float) -> None:
    """Set the clock of this process to so many seconds beside the machine's.

    `time.time`, `time.time_ns` and `datetime.now` of Millrace's own modules follow it; the monotonic clock, by which
    the event loop sleeps, does not, as on a real machine.
    """
    if time.time is _time:
        time.time = lambda: _time() + _Clock.offset_s
        time.time_ns = lambda: _time_ns() + int(_Clock.offset_s * 1e9)
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in _PACKAGES and getattr(module, "datetime", None) is _datetime:
                module.datetime = _Shifted  # type: ignore[attr-defined]
    _Clock.offset_s = offset_s
