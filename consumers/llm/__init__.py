"""A language model, when the operator names one: structured answers, checked types, counted tokens.

Every use of it is optional: without ``MILLRACE_LLM_BASE_URL`` there is none, and work is deterministic.
"""

from consumers.llm.client import Llm, Usage
from consumers.llm.endpoint import Endpoint
from consumers.llm.errors import LlmAnswerError, LlmBudgetSpentError, LlmError, LlmRefusedError, LlmUnavailableError
from consumers.llm.metered import MeteredLlm
from consumers.net.breaker import Breaker

__all__ = [
    "Breaker",
    "Endpoint",
    "Llm",
    "LlmAnswerError",
    "LlmBudgetSpentError",
    "LlmError",
    "LlmRefusedError",
    "LlmUnavailableError",
    "MeteredLlm",
    "Usage",
]
