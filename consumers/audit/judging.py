"""The site judged as a whole: its pages stream through once, and only facts of them stay."""

from __future__ import annotations

import queue
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from consumers.audit.examine import page_of
from consumers.audit.rules import Fetched, Status, Verdict, audit_site
from consumers.audit.site import Probes, Site, Sitemap, TextFile
from consumers.net import robots, urls
from schemas.audit import KeptClass, KeptErrand, KeptPage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from consumers.audit.page import Page
    from consumers.audit.profile import TermCounter

_SITEMAP: Final = TypeAdapter(Sitemap)
QUEUED: Final = 64
OK: Final = 200
_END: Final = None


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

    def take(self, contribution: Mapping[str, Any]) -> KeptPage | None:
        """Count a contribution; a page is handed back, for the site."""
        kind = contribution["kind"]
        if kind == "page":
            return self._page(KeptPage.model_validate(contribution))
        if kind == "class":
            one = KeptClass.model_validate(contribution)
            self.classes[one.url] = (one.page_type, one.is_indexable)
            self.pages[f"type {one.page_type}"] += 1
            self.pages["indexable"] += one.is_indexable
            return None
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
        return None

    def _page(self, kept: KeptPage) -> KeptPage:
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
        for status, rules in (
            (Status.FAILED, {one.rule for one in kept.findings}),
            (Status.PASSED, kept.passed),
            (Status.NOT_APPLICABLE, kept.not_applicable),
            (Status.NOT_MEASURED, kept.not_measured),
        ):
            for rule in rules:
                self.outcomes.setdefault(rule, Counter())[status] += 1
        return kept


class PageQueue:
    """Pages on their way from the event loop to the thread that reads them; holds a few at a time."""

    def __init__(self) -> None:
        self._queue: queue.Queue[list[KeptPage] | None] = queue.Queue(maxsize=QUEUED)
        self._is_broken = False

    def put(self, pages: list[KeptPage]) -> None:
        """Hand pages over; waits while the reader is behind, and drops them when it has failed."""
        while not self._is_broken:
            try:
                self._queue.put(pages, timeout=1)
            except queue.Full:
                continue
            return

    def end(self) -> None:
        """There are no more."""
        while not self._is_broken:
            try:
                self._queue.put(_END, timeout=1)
            except queue.Full:
                continue
            return

    def site(self, start: str, counter: TermCounter) -> Site:
        """Read them into a site, to the end, and count their terms; blocks, so it runs in a thread."""
        try:
            return Site(start, self._pages(counter))
        finally:
            self._is_broken = True

    def _pages(self, counter: TermCounter) -> Iterator[Page]:
        while (batch := self._queue.get()) is not _END:
            for kept in batch:
                counter.add(kept)
                yield page_of(kept)


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
        not_found=(not_found["status"], "", "") if not_found else None,
        variants={url: fetched_of(one) for url, one in data.get("variants", {}).items()},
        fetched=tally.fetched,
        robots_blocked=frozenset(tally.blocked),
        sitemaps=tuple(tally.sitemaps),
    )


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
    )


def text_file(url: str, data: Mapping[str, Any] | None) -> TextFile | None:
    """A file beside the pages, from what was kept of it."""
    if data is None:
        return None
    return TextFile(
        url=url, status=data.get("status", 0), failure=data.get("failure", ""),
        content_type=data.get("content_type", ""), text=data.get("text", ""), size_bytes=data.get("size_bytes") or 0,
    )  # fmt: skip
