"""Answers of a language model, over the chat protocol that OpenAI-compatible endpoints speak.

Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from consumers.audit.outside.service import Service, ServiceRefused

if TYPE_CHECKING:
    from consumers.net.fetch import Fetcher

TIMEOUT_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. `citations` are the sources that the endpoint names beside its text, if it does."""

    text: str
    model: str
    citations: tuple[str, ...] = ()


class Answerer(Protocol):
    """Something that answers in words."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    async def answer(self, question: str, *, system: str = "", temperature: float = 0.7) -> Answer:
        """One sample of an answer.

        Raises:
            ServiceRefused, ServiceAway: As of `Service`.
        """
        ...


class ChatEndpoint:
    """``POST {base}/chat/completions``."""

    def __init__(self, fetch: Fetcher, base: str, model: str, key: str = "") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._service = Service("the language model", base, fetch, headers=headers, timeout_s=TIMEOUT_S)
        self.name = model

    async def answer(self, question: str, *, system: str = "", temperature: float = 0.7) -> Answer:
        """One sample of an answer."""
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": question})
        said = await self._service.post(
            "/chat/completions", {"model": self.name, "messages": messages, "temperature": temperature}
        )
        try:
            text = said["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise ServiceRefused(
                "the language model's endpoint answered without choices; check MILLRACE_LLM_BASE_URL: it must speak "
                "the OpenAI chat protocol",
                reason="bad_answer",
            ) from None
        return Answer(str(text or ""), str(said.get("model", self.name)), _citations(said))


def _citations(said: dict[str, Any]) -> tuple[str, ...]:
    """Sources as endpoints with web search give them: a list of their own, or annotations of the message."""
    named = said.get("citations")
    found = [str(one) for one in named if isinstance(one, str)] if isinstance(named, list) else []
    for one in said["choices"][0]["message"].get("annotations") or ():
        url = (one.get("url_citation") or {}).get("url") if isinstance(one, dict) else None
        if isinstance(url, str):
            found.append(url)
    return tuple(dict.fromkeys(found))
