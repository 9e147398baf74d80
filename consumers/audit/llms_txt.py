"""/llms.txt: an index of a site in Markdown, for language models.

Source: the proposal at llmstxt.org: an H1 with the name, a quoted summary, then H2 sections with lists of links.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from consumers.net import urls

MIN_CHARS: Final = 50
"""As Lighthouse has it."""
_LINK: Final = re.compile(r"^\s*[-*+]\s*\[([^\]]*)\]\(\s*<?([^)\s>]+)", re.MULTILINE)
_HTML: Final = re.compile(r"<!doctype html|<html|<head|<body", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LlmsTxt:
    """An llms.txt that was read.

    Attributes:
        problems: Where it departs from the proposal.
        links: Absolute URLs of its lists.
    """

    title: str
    summary: str
    sections: tuple[str, ...]
    links: tuple[str, ...]
    problems: tuple[str, ...]


def read_llms_txt(text: str, url: str) -> LlmsTxt:
    """Read an llms.txt.

    Args:
        url: Where it was found.
    """
    text = text.removeprefix("\ufeff")
    if _HTML.search(text[:2_000]):
        return LlmsTxt("", "", (), (), ("it is HTML",))
    lines = [line for line in text.splitlines() if line.strip()]
    title = lines[0].removeprefix("#").strip() if lines and re.match(r"#\s+\S", lines[0]) else ""
    links = tuple(found for _, href in _LINK.findall(text) if (found := urls.resolve(url, href)))
    problems = []
    if not title:
        problems.append("it does not begin with an H1")
    if not links:
        problems.append("it has no list of links")
    if len(text.strip()) < MIN_CHARS:
        problems.append(f"it has only {len(text.strip())} characters")
    if links and not any(urls.same_site(one, url) for one in links):
        problems.append("it links to other sites only")
    summary = next((line.lstrip("> ").strip() for line in lines if line.startswith(">")), "")
    sections = tuple(line.lstrip("# ").strip() for line in lines if re.match(r"##\s+\S", line))
    return LlmsTxt(title, summary, sections, links, tuple(problems))
