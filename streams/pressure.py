"""Back-pressure: while Redis is nearly full, nothing new is taken in, so that what is under way can end.

``<namespace>:pressure`` holds the reason and expires by itself, should nobody look again. The log's own refusal (out of
memory) stays the last line: this is the one before it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final

from streams.errors import TransientError
from streams.keys import Keys

FRESH_S: Final = 1.0
RETRY_AFTER_S: Final = 30.0
HOLDS_S: Final = 900
"""How long it holds when it is not renewed: three looks of the memory chore."""


class Overloaded(TransientError):  # noqa: N818 - it says what is the case
    """Nothing new is taken in now."""


class Pressure:
    """A client of the key. Every method raises redis-py's errors when the server is away."""

    def __init__(self, client: Any, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._key = keys.pressure
        self._clock = clock
        self._read_s = -math.inf
        self._said = ""

    async def begin(self, said: str) -> None:
        """Take nothing new in, for `HOLDS_S`."""
        await self._client.set(self._key, said, ex=HOLDS_S)

    async def end(self) -> bool:
        """Take new work in again; False when it was."""
        return bool(await self._client.delete(self._key))

    async def said(self) -> str:
        """Why nothing is taken in, empty when it is; at most a second old."""
        now = self._clock()
        if now - self._read_s >= FRESH_S:
            self._said, self._read_s = (await self._client.get(self._key) or b"").decode(), now
        return self._said

    async def check(self) -> None:
        """Refuse a submission while there is pressure.

        Raises:
            Overloaded: There is; it says when to come again.
        """
        said = await self.said()
        if said:
            raise Overloaded(
                f"nothing new is taken in: {said}; send it again later", reason="back_pressure",
                retry_after_s=RETRY_AFTER_S,
            )  # fmt: skip
