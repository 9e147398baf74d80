"""What answer engines find on a site: structured data, answers, authors, dates. Counted on its pages, never guessed."""

from __future__ import annotations

from collections import Counter
from datetime import date
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from consumers.audit.robots_file import access_matrix
from consumers.net.robots import NO_ROBOTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.audit.site import PageFacts, Site

MOST_TYPES: Final = 20
_OK: Final = 200


def quality_of(site: Site) -> dict[str, Any]:
    """Counts over the indexable pages; a part without pages to count is left out.

    ``structured_data``: pages with markup, blocks that do not parse, types by pages. ``answerability``: pages that
    answer a question of their headings or open with a summary. ``authorship`` and ``freshness``: of articles.
    """
    pages = list(site.indexable())
    articles = [one for one in pages if one.is_article]
    found: dict[str, Any] = {}
    if pages:
        types = Counter(name for one in pages for name in one.types)
        found["structured_data"] = {
            "pages": len(pages),
            "with_markup": sum(bool(one.types) for one in pages),
            "broken_blocks": sum(one.markup_errors for one in pages),
            "types": dict(types.most_common(MOST_TYPES)),
        }
        found["answerability"] = {
            "pages": len(pages),
            "with_questions": sum(one.questions > 0 for one in pages),
            "with_answer": sum(one.has_answer for one in pages),
        }
    if articles:
        found["authorship"] = {"articles": len(articles), "with_author": sum(one.has_author for one in articles)}
        found["freshness"] = _freshness(articles, site)
    return found


def _freshness(articles: list[PageFacts], site: Site) -> dict[str, Any]:
    ages = [(site.today - date.fromisoformat(one.dated_on)).days for one in articles if one.dated_on]
    counted: dict[str, Any] = {"articles": len(articles), "dated": len(ages)}
    if ages:
        counted |= {
            "median_days": median(ages),
            "newest_days": min(ages),
            "older_than_limit": sum(age > site.thresholds.stale_days for age in ages),
        }
    return counted


def told_of(geo: Mapping[str, Any]) -> list[str]:
    """The counts of `quality_of` as sentences."""
    lines = []
    if markup := geo.get("structured_data"):
        types = ", ".join(f"{name} ({pages})" for name, pages in list(markup["types"].items())[:8])
        lines.append(
            f"{markup['with_markup']} of {markup['pages']} indexable pages have structured data"
            + (f": {types}" if types else "")
        )
        if markup["broken_blocks"]:
            lines.append(f"{markup['broken_blocks']} blocks of structured data do not parse")
    if answers := geo.get("answerability"):
        lines.append(
            f"{answers['with_answer']} of {answers['pages']} pages answer a question directly or open with a summary"
        )
    if authors := geo.get("authorship"):
        lines.append(f"{authors['with_author']} of {authors['articles']} articles name an author")
    if dates := geo.get("freshness"):
        stale = f"; {dates['older_than_limit']} are over a year old" if dates.get("older_than_limit") else ""
        lines.append(f"{dates['dated']} of {dates['articles']} articles state a date{stale}")
    return lines


def access_of_agents(site: Site) -> list[dict[str, str]]:
    """What robots.txt says of the root to each crawler of answer engines and of training; empty when unknown."""
    file = site.probes.robots_txt
    if file is None or file.failure or file.status >= 500:  # noqa: PLR2004 - then nobody knows
        return []
    robots = site.probes.robots if file.status == _OK and site.probes.robots is not None else NO_ROBOTS
    return [
        {"agent": one.agent, "operator": one.operator, "purpose": one.purpose, "state": one.state}
        for one in access_matrix(robots)
    ]
