"""How well answer engines may reach a site, and whether it says who it is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from consumers.audit.llms_txt import LlmsTxt, read_llms_txt
from consumers.audit.robots_file import ANSWER_AGENTS, TRAINING_AGENTS, access_of, read
from consumers.audit.rules.guards import robots_asked
from consumers.audit.rules.model import Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import site_rule
from consumers.net.robots import NO_ROBOTS

if TYPE_CHECKING:
    from consumers.audit.site import PageFacts, Site, TextFile
    from consumers.net.robots import Robots

_OK: Final = 200


def _robots(site: Site) -> Robots:
    file = site.probes.robots_txt
    if file is None or file.status != _OK:
        return NO_ROBOTS
    return site.probes.robots or read(file.text)


def _robots_url(site: Site) -> str:
    return site.probes.robots_txt.url if site.probes.robots_txt is not None else site.start_url


@site_rule(
    "geo-ai-bots-blocked",
    "geo",
    "high",
    "core",
    "site",
    "robots",
    robots_asked,
    fix="Allow the agents in whose answers the site should appear.",
)
def geo_ai_bots_blocked(site: Site) -> Iterator[Evidence]:
    """robots.txt disallows the root for the agent of an answer engine; each agent is reported apart."""
    for agent in ANSWER_AGENTS:
        access = access_of(_robots(site), agent, "answers")
        if not access.is_allowed:
            yield Evidence(
                _robots_url(site), f"{agent} is {access.state}", f"User-agent: {agent if access.is_named else '*'}"
            )


@site_rule(
    "geo-training-bots-policy",
    "geo",
    "info",
    "extended",
    "site",
    "robots",
    robots_asked,
    fix="Decide whether models may be trained on the site, and write the rule for each agent.",
)
def geo_training_bots_policy(site: Site) -> Iterator[Evidence]:
    """robots.txt does not name every agent that gathers training data. A choice, not a fault: each is stated."""
    stated = [access_of(_robots(site), agent, "training") for agent in TRAINING_AGENTS]
    if not all(one.is_named for one in stated):
        for one in stated:
            yield Evidence(_robots_url(site), f"{one.agent} is {one.state}")


def _llms_asked(site: Site) -> Skip | None:
    return unmeasured("/llms.txt was not asked for") if site.probes.llms_txt is None else None


@site_rule(
    "geo-llms-txt-missing",
    "geo",
    "low",
    "extended",
    "site",
    "crawl",
    _llms_asked,
    fix="Publish a short index of the site in Markdown at /llms.txt.",
)
def geo_llms_txt_missing(site: Site) -> Iterator[Evidence]:
    """/llms.txt does not answer 200 with text."""
    file = site.probes.llms_txt
    if file is not None and not _is_there(file):
        answers = f"it answers {file.status or file.failure or 'nothing'}"
        yield Evidence(file.url, "it is empty" if file.status == _OK else answers)


def _is_there(file: TextFile | None) -> bool:
    return file is not None and file.status == _OK and bool(file.text.strip())


def _llms_there(site: Site) -> Skip | None:
    if skip := _llms_asked(site):
        return skip
    return None if _is_there(site.probes.llms_txt) else applies_not("there is no llms.txt")


def _llms(site: Site) -> LlmsTxt:
    file = site.probes.llms_txt
    return read_llms_txt(file.text if file is not None else "", file.url if file is not None else site.start_url)


@site_rule(
    "geo-llms-txt-invalid",
    "geo",
    "low",
    "extended",
    "site",
    "crawl",
    _llms_there,
    fix="Follow the proposal: an H1, a quoted summary, H2 sections with lists of links.",
)
def geo_llms_txt_invalid(site: Site) -> Iterator[Evidence]:
    """/llms.txt has no H1 first, no list of links, is very short, is HTML, or links only dead or foreign pages."""
    read_file = _llms(site)
    file = site.probes.llms_txt
    for problem in read_file.problems:
        yield Evidence(file.url if file is not None else site.start_url, problem)
    answers = [answer for url in read_file.links if (answer := site.answer(url)) is not None]
    if answers and len(answers) == len(read_file.links) and all(one.is_error for one in answers):
        yield Evidence(file.url if file is not None else site.start_url, "all of its links are dead")


def _described(site: Site) -> Skip | None:
    described = [facts for facts in site.facts.values() if facts.organisations]
    return None if described else applies_not("no page describes an organisation")


@site_rule(
    "geo-entity-inconsistent",
    "geo",
    "medium",
    "core",
    "site",
    "crawl",
    _described,
    fix="Write one name, one address and one phone everywhere.",
)
def geo_entity_inconsistent(site: Site) -> Iterator[Evidence]:
    """Name, address or phone of the organisation differ between pages, or between markup and text."""
    for what, position in (("name", 0), ("phone", 1), ("address", 2)):
        by_locale: dict[str, dict[str, PageFacts]] = defaultdict(dict)
        for facts in site.facts.values():
            if len(facts.organisations) == 1 and (value := facts.organisations[0][position]):
                by_locale[facts.locale].setdefault(_plain(value), facts)
        for found in by_locale.values():
            if len(found) > 1:
                shown = " | ".join(facts.organisations[0][position] for facts in found.values())
                first, second = list(found.values())[:2]
                yield Evidence(first.url, f"{len(found)} spellings of the {what}", shown[:300], second.url)
    for facts in site.facts.values():
        stated = {phone for _, phone, _ in facts.organisations if phone.startswith("+")}
        if stated and facts.phones and stated.isdisjoint(facts.phones):
            yield Evidence(
                facts.url, f"the markup says {', '.join(sorted(stated))}, the page links {', '.join(facts.phones[:3])}"
            )


def _plain(value: str) -> str:
    return re.sub(r"[\W_]+", " ", value.casefold()).strip()


def _asked_model(site: Site) -> Skip | None:
    return unmeasured("no language model was asked") if site.probes.brand_answers is None else None


@site_rule(
    "geo-brand-not-mentioned",
    "geo",
    "info",
    "extended",
    "site",
    "llm",
    _asked_model,
    fix="Improve the pages that answer those questions; look at the competitors that are cited.",
)
def geo_brand_not_mentioned(site: Site) -> Iterator[Evidence]:
    """None of the category questions put to the configured model mentions the brand or cites its domain."""
    answers, naming = site.probes.brand_answers or (0, 0)
    if answers and not naming:
        yield Evidence(site.start_url, f"none of {answers} answers names the brand")
