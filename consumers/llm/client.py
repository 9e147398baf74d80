"""What a stage needs of a language model, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeVar

from pydantic import BaseModel

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost.

    Attributes:
        cost_usd: None when the model's prices are not known; see ``MILLRACE_LLM_INPUT_PRICE``.
        is_cached: It was answered before and cost nothing now.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None
    is_cached: bool = False


class Said(BaseModel):
    """An answer in words.

    Attributes:
        citations: Addresses that the endpoint names as its sources, beside the text; empty when it names none.
        model: Which one answered, as the endpoint tells.
    """

    text: str
    citations: tuple[str, ...] = ()
    model: str = ""


class Llm(Protocol):
    """A language model that answers in a given shape."""

    async def complete(self, model_cls: type[Answer], instructions: str, data: str) -> tuple[Answer, Usage]:
        """Ask.

        Args:
            model_cls: Shape of the answer; the answer is validated against it.
            instructions: What to do; the operator's and ours, never a site's.
            data: What to do it with. It is fenced off and declared as data: text in it that reads like instructions
                is text. Nothing that the answer says may be believed without a check of its own.

        Raises:
            LlmUnavailableError: It may succeed later.
            LlmRefusedError: It cannot succeed with these settings.
            LlmAnswerError: No answer of this shape came.
            LlmBudgetSpentError: The job's cap is reached.
        """
        ...
