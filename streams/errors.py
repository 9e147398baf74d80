"""The error tree.

::

    MillraceError
    ├── TransientError   may succeed when tried again: retried by the stage's policy
    │   └── NotNow            was not tried at all: waits for its time, which spends no attempt
    ├── PermanentError   will not succeed: dead-letters now
    │   └── MalformedEntry    an entry from outside that does not parse
    └── Refused          a move the log did not make, with its code
"""

from __future__ import annotations


class MillraceError(Exception):
    """Root of every error that Millrace raises on purpose."""


class TransientError(MillraceError):
    """Trying again later may succeed.

    Attributes:
        reason: A short snake_case code.
        retry_after_s: Seconds the other side asked us to wait; None leaves it to the policy.
    """

    def __init__(self, message: str, *, reason: str = "transient", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class NotNow(TransientError):  # noqa: N818 - it says what is the case
    """It was not tried, because it could not succeed now; the entry waits for `retry_after_s` with its attempts."""

    def __init__(self, message: str, *, reason: str, retry_after_s: float) -> None:
        super().__init__(message, reason=reason, retry_after_s=retry_after_s)


class PermanentError(MillraceError):
    """Trying again cannot succeed.

    Attributes:
        reason: A short snake_case code.
    """

    def __init__(self, message: str, *, reason: str = "permanent") -> None:
        super().__init__(message)
        self.reason = reason


class MalformedEntry(PermanentError):  # noqa: N818 - it names the thing, as in `streams.errors`' drawing
    """An entry from outside that does not parse; dead-letters with its reason."""


class Refused(MillraceError):  # noqa: N818 - it says what the log did
    """The log did not make a move.

    Attributes:
        code: Why, as in `streams.scripts.Code`.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code
