"""The site judged as a whole: its pages stream through once, and only facts of them stay."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from consumers.audit.authorship import today
from consumers.audit.document import Document, Lighthouse, headers_of
from consumers.audit.examine import findings_of, page_of
from consumers.audit.page import read_page
from consumers.audit.profile import TermCounter
from consumers.audit.rules import RULES, Context, Fetched, Status, Verdict, audit_page, audit_site
from consumers.audit.site import Probes, Site, Sitemap, TextFile, Tls
from consumers.net import robots, urls
from schemas.audit import KeptClass, KeptErrand, KeptPage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SITEMAP: Final = TypeAdapter(Sitemap)
OK: Final = 200

NEED_LIGHTHOUSE: Final = frozenset(
    rule.id
    for rule in RULES.values()
    if rule.on_page is not None and {"lighthouse", "browser"}.intersection(rule.needs)
)
"""Page rules that Lighthouse's runs decide; it runs on the start page alone."""

NEED_ANSWERS: Final = frozenset(rule.id for rule in RULES.values() if "llm" in rule.needs)
"""Site rules that a language model's answers decide."""


@dataclass(slots=True)
class Tally:
    """What is counted of an audit while its contributions stream by.

    Attributes:
        start: The start page after its redirects.
        classes: Type and indexability by the address that was asked for.
        fetched: What asking other addresses came to.
        site: What the errand for the site's own files brought.
        parts: Measured parts by kind; of several competitors a list.
        outcomes: Rule -> status -> pages.
    """

    start: str = ""
    classes: dict[str, tuple[str, bool]] = field(default_factory=dict)
    fetched: dict[str, Fetched] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    sitemaps: list[Sitemap] = field(default_factory=list)
    outcomes: dict[str, Counter[Status]] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    pages: Counter[str] = field(default_factory=Counter)

    def take(self, contribution: Mapping[str, Any]) -> None:
        """Count what is no page."""
        if contribution["kind"] == "class":
            one = KeptClass.model_validate(contribution)
            self.classes[one.url] = (one.page_type, one.is_indexable)
            self.pages[f"type {one.page_type}"] += 1
            self.pages["indexable"] += one.is_indexable
            return
        errand = KeptErrand.model_validate(contribution)
        if errand.kind == "link":
            self.fetched[errand.url] = fetched_of(errand.data)
        elif errand.kind == "sitemap":
            self.sitemaps.append(_SITEMAP.validate_python(errand.data))
        elif errand.kind == "site":
            self.site = errand.data
        elif errand.kind == "competitors":
            self.parts.setdefault("competitors", []).append(errand.data)
        else:
            self.parts[errand.kind] = errand.data

    def page(self, kept: KeptPage) -> KeptPage:
        """Count a page, and hand it back."""
        page = kept.page
        if kept.via == "start" or (kept.via == "redirect" and kept.depth == 0) or not self.start:
            self.start = kept.url
        self.pages["crawled"] += 1
        self.pages["reused"] += kept.reused
        self.pages["rendered"] += kept.rendered
        if page.get("failure") == "robots_disallowed":
            self.blocked.add(kept.url)
            self.pages["blocked"] += 1
        elif page.get("redirects") and not page.get("failure"):
            self.pages["redirects"] += 1
        elif page.get("failure") or page.get("status", 0) >= 400:  # noqa: PLR2004 - HTTP's classes
            self.pages["errors"] += 1
        elif page.get("is_html"):
            self.pages["html"] += 1
        for rule, status in statuses_of(kept):
            self.outcomes.setdefault(rule, Counter())[status] += 1
        return kept


class SiteReader:
    """Reads the pages of an audit into facts, a few at a time, and keeps no page.

    Args:
        start: What the audit was asked for: the site's start, unless its pages say another.
    """

    def __init__(self, start: str) -> None:
        self.tally = Tally()
        self.counter = TermCounter()
        self._start = start
        self._site: Site | None = None
        self._waiting: list[KeptPage] = []

    def read(self, payloads: Iterable[Mapping[str, Any]]) -> list[KeptPage]:
        """Read pages as they were collected, in their order; hands them back."""
        found = [self.tally.page(self._measured(KeptPage.model_validate(one))) for one in payloads]
        self._waiting += found
        # A start that redirects does not say yet where the site begins; the page after it does.
        if self._site is None and any(one.via != "start" or not one.page.get("redirects") for one in found):
            self._site = Site(self.tally.start or self._start)
        if self._site is not None:
            self._add(self._site)
        return found

    def site(self) -> Site:
        """The site, when every page was read."""
        site = self._site or Site(self.tally.start or self._start)
        self._add(site)
        return site

    def _measured(self, kept: KeptPage) -> KeptPage:
        runs = lighthouse_of(self.tally.parts.get("pagespeed"))
        is_start = (kept.via == "start" or (kept.via == "redirect" and not kept.depth)) and not kept.page["redirects"]
        return with_lighthouse(kept, runs) if runs and is_start else kept

    def _add(self, site: Site) -> None:
        for kept in self._waiting:
            self.counter.add(kept)
            site.add(page_of(kept))
        self._waiting = []


def with_lighthouse(kept: KeptPage, runs: tuple[Lighthouse, ...]) -> KeptPage:
    """The start page with the rules put again that look at what Lighthouse measured of it; see `NEED_LIGHTHOUSE`."""
    again = audit_page(page_of(kept), Context(today=today(), home_url=kept.url, lighthouse=runs), only=NEED_LIGHTHOUSE)
    put = {one.rule for one in again}
    by_status = {status: [one.rule for one in again if one.status is status] for status in Status}
    findings = [finding for one in again if one.status is Status.FAILED for finding in findings_of(one)]

    def renewed(rules: Iterable[str], status: Status) -> tuple[str, ...]:
        return (*(one for one in rules if one not in put), *by_status[status])

    return kept.model_copy(
        update={
            "findings": (*(one for one in kept.findings if one.rule not in put), *findings),
            "passed": renewed(kept.passed, Status.PASSED),
            "not_applicable": renewed(kept.not_applicable, Status.NOT_APPLICABLE),
            "not_measured": renewed(kept.not_measured, Status.NOT_MEASURED),
        }
    )


def of_visibility(start: str, visibility: Mapping[str, Any] | None) -> tuple[Verdict, ...]:
    """What the rules say that look at a language model's answers alone; see `NEED_ANSWERS`."""
    return audit_site(Site(start, (), Probes(brand_answers=_brand_answers(visibility))), only=NEED_ANSWERS)


def statuses_of(kept: KeptPage) -> Iterator[tuple[str, Status]]:
    """Every rule that was put to a page, and what it came to."""
    for status, rules in (
        (Status.FAILED, {one.rule for one in kept.findings}),
        (Status.PASSED, kept.passed),
        (Status.NOT_APPLICABLE, kept.not_applicable),
        (Status.NOT_MEASURED, kept.not_measured),
    ):
        for rule in rules:
            yield rule, status


def lighthouse_of(pagespeed: Mapping[str, Any] | None) -> tuple[Lighthouse, ...]:
    """The runs of a measured PageSpeed part; none when it was not measured."""
    runs = [one for one in (pagespeed or {}).values() if isinstance(one, dict) and one.get("status") == "measured"]
    return tuple(
        Lighthouse(
            strategy=one["strategy"],
            performance=one["scores"]["performance"] / 100 if "performance" in one["scores"] else None,
            audits=one["audits"],
        )
        for one in runs
    )


def judge(site: Site, tally: Tally, *, is_complete: bool) -> tuple[Verdict, ...]:
    """Put the site's rules to it; takes seconds for a large site, so it runs in a thread."""
    site.probes = probes_of(tally)
    site.is_complete = is_complete
    return audit_site(site)


def probes_of(tally: Tally) -> Probes:
    """What was asked beside the crawl, as the rules want it."""
    data = tally.site
    origin = urls.origin_of(tally.start) if tally.start else ""
    robots_txt = text_file(f"{origin}/robots.txt", data.get("robots_txt"))
    not_found = data.get("not_found")
    return Probes(
        robots_txt=robots_txt,
        robots=_rules_of(robots_txt),
        llms_txt=text_file(f"{origin}/llms.txt", data.get("llms_txt")),
        favicon=fetched_of(data["favicon"]) if "favicon" in data else None,
        not_found=_not_found(not_found) if not_found else None,
        variants={url: fetched_of(one) for url, one in data.get("variants", {}).items()},
        fetched=tally.fetched,
        robots_blocked=frozenset(tally.blocked),
        sitemaps=tuple(tally.sitemaps),
        tls=_tls(data.get("tls")),
        brand_answers=_brand_answers(tally.parts.get("visibility")),
    )


def _not_found(data: Mapping[str, Any]) -> tuple[int, str, str]:
    """What a path that cannot exist answers: status, title and SimHash."""
    if not data.get("text"):
        return data["status"], "", ""
    headers = headers_of(data.get("headers") or {})
    page = read_page(Document(url=data["url"], status=data["status"], headers=headers, body=data["text"].encode()))
    return page.status, page.title, page.prose.simhash


def _tls(data: Mapping[str, str] | None) -> Tls | None:
    if not data:
        return None
    return Tls(data["error"], date.fromisoformat(data["expires_on"]) if data["expires_on"] else None)


def _brand_answers(visibility: Mapping[str, Any] | None) -> tuple[int, int] | None:
    if not visibility or visibility.get("status") != "measured":
        return None
    named = max(visibility["mentions"], visibility["citations"])
    return visibility["answers"], named


def _rules_of(file: TextFile | None) -> robots.Robots | None:
    return robots.parse(file.text, decode_unreserved=True) if file is not None and file.status == OK else None


def fetched_of(data: Mapping[str, Any]) -> Fetched:
    """What asking an address came to, from what was kept of it."""
    return Fetched(
        status=data.get("status", 0),
        failure=data.get("failure", ""),
        url=data.get("url", ""),
        content_type=data.get("content_type", ""),
        size_bytes=data.get("size_bytes"),
        headers={name.lower(): value for name, value in data.get("headers", {}).items()},
        redirect_status=data.get("redirect_status", 0),
        width=data.get("width"),
        height=data.get("height"),
    )


def text_file(url: str, data: Mapping[str, Any] | None) -> TextFile | None:
    """A file beside the pages, from what was kept of it."""
    if data is None:
        return None
    return TextFile(
        url=url, status=data.get("status", 0), failure=data.get("failure", ""),
        content_type=data.get("content_type", ""), text=data.get("text", ""), size_bytes=data.get("size_bytes") or 0,
    )  # fmt: skip
