"""robots.txt as a text: which of its lines are wrong, and what it says to which crawler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from consumers.net.robots import Robots, parse

Purpose = Literal["search", "answers", "training"]

DIRECTIVES: Final = frozenset(
    ("user-agent", "disallow", "allow", "sitemap", "crawl-delay", "host", "clean-param", "request-rate", "visit-time",
     "noindex", "content-signal", "content-usage", "license")
)  # fmt: skip
"""What some large crawler reads; anything else is a mistake."""

SEARCH_ENGINES: Final = ("Googlebot", "Bingbot", "Baiduspider", "YandexBot", "DuckDuckBot")
ANSWER_AGENTS: Final = (
    "OAI-SearchBot", "ChatGPT-User", "PerplexityBot", "Perplexity-User", "Claude-User", "Claude-SearchBot", "Bingbot", "Googlebot",
)  # fmt: skip
TRAINING_AGENTS: Final = (
    "GPTBot", "ClaudeBot", "Google-Extended", "Applebot-Extended", "CCBot", "Bytespider", "Meta-ExternalAgent", "Amazonbot",
)  # fmt: skip
_OPERATORS: Final = {
    "OAI-SearchBot": "OpenAI", "ChatGPT-User": "OpenAI", "GPTBot": "OpenAI", "PerplexityBot": "Perplexity",
    "Perplexity-User": "Perplexity", "Claude-User": "Anthropic", "Claude-SearchBot": "Anthropic", "ClaudeBot": "Anthropic",
    "Bingbot": "Microsoft", "Googlebot": "Google", "Google-Extended": "Google", "Applebot-Extended": "Apple",
    "CCBot": "Common Crawl", "Bytespider": "ByteDance", "Meta-ExternalAgent": "Meta", "Amazonbot": "Amazon",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of robots.txt that crawlers do not understand."""

    number: int
    line: str
    problem: str


@dataclass(frozen=True, slots=True)
class AgentAccess:
    """What robots.txt says to one crawler about the root of the site.

    Attributes:
        is_named: A group names the agent; else the group for everyone holds.
        is_allowed: Whether it may fetch the root.
    """

    agent: str
    operator: str
    purpose: Purpose
    is_named: bool
    is_allowed: bool

    @property
    def state(self) -> str:
        """``allowed``, ``disallowed``, or ``not named`` with what follows for it."""
        verdict = "allowed" if self.is_allowed else "disallowed"
        return verdict if self.is_named else f"not named, so {verdict}"


def bad_lines(text: str) -> Iterator[BadLine]:
    """Lines that are neither comments nor known directives, rules before any agent, and paths that start wrongly."""
    in_group = False
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        key = name.lower()
        if not colon:
            yield BadLine(number, raw[:200], "it has no colon")
        elif key not in DIRECTIVES:
            yield BadLine(number, raw[:200], f"{name[:40]!r} is no known directive")
        elif key == "user-agent":
            in_group = True
            if not value:
                yield BadLine(number, raw[:200], "it names no agent")
        elif key in {"allow", "disallow"}:
            if not in_group:
                yield BadLine(number, raw[:200], "it stands before any user-agent")
            if value and value[0] not in "/*":
                yield BadLine(number, raw[:200], "the path starts with neither / nor *")
            elif "$" in value[:-1]:
                yield BadLine(number, raw[:200], "$ means the end only at the end")
        elif key == "sitemap" and not re.match(r"(?:https?|ftp)://[^/]", value, re.IGNORECASE):
            yield BadLine(number, raw[:200], "the sitemap's address is not absolute")


def read(text: str) -> Robots:
    """The rules of a robots.txt, as crawlers that follow RFC 9309 to the letter read them."""
    return parse(text, decode_unreserved=True)


def access_of(robots: Robots, agent: str, purpose: Purpose, path: str = "/") -> AgentAccess:
    """What robots.txt says to one crawler.

    Args:
        path: What is asked for.
    """
    return AgentAccess(
        agent, _OPERATORS.get(agent, ""), purpose, agent.lower() in robots.rules, robots.allowed(agent, path)
    )


def access_matrix(robots: Robots) -> tuple[AgentAccess, ...]:
    """What robots.txt says to every crawler of an answer engine or of a model's training."""
    answers = tuple(
        access_of(robots, agent, "search" if agent in SEARCH_ENGINES else "answers") for agent in ANSWER_AGENTS
    )
    return answers + tuple(access_of(robots, agent, "training") for agent in TRAINING_AGENTS)
