"""What can go wrong with a language model.

::

    LlmError
    ├── LlmUnavailableError   transient: no connection, time-out, 408, 429, 5xx, or the breaker is open
    ├── LlmRefusedError       permanent: the key, the model's name or the request is wrong
    ├── LlmAnswerError        permanent: the answer does not fit what was asked for
    └── LlmBudgetSpentError   permanent: the job has used up its tokens or its money

A stage that can do without the model catches `LlmError` and goes on.
"""

from __future__ import annotations

from streams.errors import MillraceError, PermanentError, TransientError


class LlmError(MillraceError):
    """Root of what the model's side does wrong."""


class LlmUnavailableError(LlmError, TransientError):
    """The endpoint does not answer now."""

    def __init__(self, message: str, *, reason: str = "llm_unavailable", retry_after_s: float | None = None) -> None:
        TransientError.__init__(self, message, reason=reason, retry_after_s=retry_after_s)


class LlmRefusedError(LlmError, PermanentError):
    """The endpoint refuses the request, however often it is sent."""

    def __init__(self, message: str, *, reason: str = "llm_refused") -> None:
        PermanentError.__init__(self, message, reason=reason)


class LlmAnswerError(LlmError, PermanentError):
    """The model answered something that is not what was asked for."""

    def __init__(self, message: str) -> None:
        PermanentError.__init__(self, message, reason="llm_bad_answer")


class LlmBudgetSpentError(LlmError, PermanentError):
    """The job may not ask any more."""

    def __init__(self, message: str) -> None:
        PermanentError.__init__(self, message, reason="llm_budget_spent")
