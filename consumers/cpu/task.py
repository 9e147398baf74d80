"""What a function that runs in a CPU child may use.

Import nothing heavier here: every child pays for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SAME_STEP_EVERY_S = 0.1


class SoftTimeLimit(BaseException):
    """Raised in the function, at any line, when its soft limit passes: clean up and let it go on.

    Not an ``Exception``, so that the ``except Exception`` of a page loop does not swallow it. Code that is inside a
    long call into C sees it only when that call returns; the hard limit is for those.
    """


class _Reporter:
    """Passes progress on to the parent; does nothing where nobody listens (unit tests, the inline runner)."""

    def __init__(self) -> None:
        self.sink: Callable[[str, float | None], None] | None = None
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, step: str, percent: float | None = None) -> None:
        """Report how far the work is.

        Args:
            step: What is being done, for people; at most 200 characters are kept.
            percent: 0 to 100, or None when it cannot be told.

        A new step is always sent, the same one at most ten times a second, so a tight loop may call this.
        """
        if self.sink is None:
            return
        now = time.monotonic()
        last_step, sent_at = self._last
        if step == last_step and now - sent_at < _SAME_STEP_EVERY_S:
            return
        self._last = (step, now)
        self.sink(step, percent)


report_progress = _Reporter()
