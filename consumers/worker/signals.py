"""Signals for tests and live views: what just happened in this worker. They cost a look at an empty list when unset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

SignalName = Literal[
    "started", "settled", "lease.renewed", "lease.lost", "reclaimer.swept", "timers.promoted", "ready", "paused",
    "shares.changed",
]  # fmt: skip
Listener = Callable[[str, tuple[Any, ...]], None]


class Signals:
    """A list of listeners."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each signal's name and values."""
        self._listeners.append(listener)

    def send(self, name: SignalName, *values: Any) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            listener(name, values)
