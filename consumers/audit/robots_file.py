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
    "OAI-SearchBot", "ChatGPT-User", "PerplexityBot", "Perplexity-User", "Claude-User", "Claude-SearchBot",
    "Bingbot", "Googlebot",
)  # fmt: skip
TRAINING_AGENTS: Final = (
    "GPTBot", "ClaudeBot", "Google-Extended", "Applebot-Extended", "CCBot", "Bytespider", "Meta-ExternalAgent",
    "Amazonbot",
)  # fmt: skip
_ABSOLUTE: Final = re.compile(r"(?:https?|ftp)://[^/]", re.IGNORECASE)
_OPERATORS: Final = {
    "OAI-SearchBot": "OpenAI", "ChatGPT-User": "OpenAI", "GPTBot": "OpenAI", "PerplexityBot": "Perplexity",
    "Perplexity-User": "Perplexity", "Claude-User": "Anthropic", "Claude-SearchBot": "Anthropic",
    "ClaudeBot": "Anthropic",
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
        in_group = in_group or key == "user-agent"
        problem = _problem(name, value, in_group=in_group) if colon else "it has no colon"
        if problem:
            yield BadLine(number, raw[:200], problem)


def _problem(name: str, value: str, *, in_group: bool) -> str:
    key = name.lower()
    is_path = key in {"allow", "disallow"}
    for is_wrong, problem in (
        (key not in DIRECTIVES, f"{name[:40]!r} is no known directive"),
        (key == "user-agent" and not value, "it names no agent"),
        (is_path and not in_group, "it stands before any user-agent"),
        (is_path and value != "" and value[:1] not in {"/", "*"}, "the path starts with neither / nor *"),
        (is_path and "$" in value[:-1], "$ means the end only at the end"),
        (key == "sitemap" and not _ABSOLUTE.match(value), "the sitemap's address is not absolute"),
    ):
        if is_wrong:
            return problem
    return ""


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
