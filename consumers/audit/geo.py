"""How a site stands with answer engines, as far as the site itself tells. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from consumers.audit.geo_quality import access_of_agents, quality_of
from consumers.net import urls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.audit.profile import Profile
    from consumers.audit.site import Site
    from schemas.audit_result import Issue

AI_CRAWLERS: Final = (
    "GPTBot", "OAI-SearchBot", "ChatGPT-User", "ClaudeBot", "Claude-SearchBot", "Claude-User", "PerplexityBot",
    "Perplexity-User", "Google-Extended", "Applebot-Extended", "Amazonbot", "Bytespider", "CCBot", "Meta-ExternalAgent",
    "MistralAI-User", "cohere-ai",
)  # fmt: skip
"""Agents by which language models read the web. Source: their operators' pages on crawling."""


def geo_of(site: Site, profile: Profile, issues: Iterable[Issue]) -> dict[str, Any]:
    """The AI-crawler matrix, llms.txt, markup, answers, authors and dates, brand and category, and the GEO rules."""
    probes = site.probes
    target = urls.target_of(site.start_url) if site.start_url else "/"
    readable = probes.robots_txt is not None and probes.robots_txt.status < 500 and not probes.robots_txt.failure  # noqa: PLR2004
    matrix: dict[str, bool] = {}
    if readable:
        matrix = {
            agent: probes.robots.allowed(agent, target) if probes.robots is not None else True for agent in AI_CRAWLERS
        }
    return {
        "ai_crawlers": matrix,
        "agents": access_of_agents(site),
        **quality_of(site),
        "llms_txt": probes.llms_txt is not None and probes.llms_txt.status == 200,  # noqa: PLR2004 - it is there
        "profile": {name: value for name, value in asdict(profile).items() if name != "terms"},
        "issues": geo_issues(issues),
    }


def geo_issues(issues: Iterable[Issue]) -> dict[str, int]:
    """How often each GEO rule failed."""
    return {one.rule: one.count for one in issues if one.category == "geo" and one.count}
