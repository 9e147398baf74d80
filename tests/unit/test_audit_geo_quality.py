"""What answer engines find on a site, counted."""

from __future__ import annotations

from consumers.audit.geo_quality import access_of_agents, quality_of, told_of
from consumers.audit.page import read_page
from consumers.audit.robots_file import read
from consumers.audit.site import Probes, Site, TextFile
from tests.support.audit_pages import BODY, HEAD, HOME, TODAY, URL, doc, in_head, prose, swap

ROBOTS = "User-agent: GPTBot\nDisallow: /\n"


def site() -> Site:
    dated = in_head('<meta property="article:published_time" content="2024-06-01">')
    pages = [
        doc(),
        doc(f"<main><h1>Cables</h1>{prose(300)}</main>", head=swap(dated, (URL, f"{HOME}cables")), url=f"{HOME}cables"),
        doc(
            BODY,
            head=swap(in_head('<script type="application/ld+json">{</script>'), (URL, f"{HOME}broken")),
            url=f"{HOME}broken",
        ),
        doc(head=HEAD + '<meta name="robots" content="noindex">', url=f"{HOME}hidden"),
    ]
    robots = TextFile(f"{HOME}robots.txt", 200, text=ROBOTS)
    return Site(HOME, map(read_page, pages), Probes(robots_txt=robots, robots=read(ROBOTS)), on=TODAY)


def test_it_is_counted() -> None:
    found = quality_of(site())
    assert found["structured_data"] == {
        "pages": 3, "with_markup": 3, "broken_blocks": 1, "types": {"BreadcrumbList": 3, "ListItem": 3},
    }  # fmt: skip
    assert found["answerability"] == {"pages": 3, "with_questions": 2, "with_answer": 3}
    assert found["authorship"] == {"articles": 1, "with_author": 0}
    assert found["freshness"] == {
        "articles": 1,
        "dated": 1,
        "median_days": 730,
        "newest_days": 730,
        "older_than_limit": 1,
    }


def test_it_is_told() -> None:
    told = told_of(quality_of(site()))
    assert told[0] == "3 of 3 indexable pages have structured data: BreadcrumbList (3), ListItem (3)"
    assert told[-1] == "1 of 1 articles state a date; 1 are over a year old"
    assert told_of({}) == []


def test_nothing_is_said_of_nothing() -> None:
    empty = Site(HOME, (), on=TODAY)
    assert quality_of(empty) == {}
    assert access_of_agents(empty) == []


def test_each_agent_is_told_apart() -> None:
    states = {one["agent"]: (one["purpose"], one["state"]) for one in access_of_agents(site())}
    assert states["GPTBot"] == ("training", "disallowed")
    assert states["PerplexityBot"] == ("answers", "not named, so allowed")
    assert states["Googlebot"][0] == "search"
