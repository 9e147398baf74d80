"""A site as its rules see it: facts of its pages, its link graph, robots.txt, sitemaps and what was asked besides.

Built page by page, so that a site of ten thousand pages is never in memory as pages: a `PageFacts` keeps what site
rules compare, and the graph keeps numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from consumers.audit.authorship import today
from consumers.audit.document import Hop
from consumers.audit.links import host_key
from consumers.audit.page import Page
from consumers.audit.prose import answers_something
from consumers.audit.rules.model import Fetched
from consumers.audit.rules.thresholds import Thresholds
from consumers.audit.signals import Alternate
from consumers.audit.structured import types_of, walk
from consumers.net import urls
from consumers.net.robots import Robots

NOFOLLOW: Final = 1
FRAGMENT_SAMPLES: Final = 200_000


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What site rules compare of a page. `robots_allows` is for our own agent."""

    url: str
    requested_url: str
    status: int
    failure: str
    redirects: tuple[Hop, ...]
    is_html: bool
    is_indexable: bool
    is_noindex: bool
    canonical: str | None
    title: str
    description: str
    h1: str
    locale: str
    words: int
    digest: str
    simhash: str
    alternates: tuple[Alternate, ...]
    series: tuple[tuple[str, str], ...]
    anchors: array[int]
    """Hashes, within this process, of what a fragment can point at; see `has_anchor`."""
    organisations: tuple[tuple[str, str, str], ...]
    """Name, telephone and address of each organisation that the markup names."""
    og_image: str = ""
    phones: tuple[str, ...] = ()
    """E.164 of its ``tel:`` links."""
    types: tuple[str, ...] = ()
    markup_errors: int = 0
    questions: int = 0
    has_answer: bool = False
    is_article: bool = False
    has_author: bool = False
    dated_on: str = ""
    """The newest date that an article states; ISO, empty for none."""

    @property
    def is_ok(self) -> bool:
        """It answered 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004

    def has_anchor(self, fragment: str) -> bool:
        """Whether a fragment points at something."""
        return hash(fragment) in self.anchors


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file beside the pages: robots.txt, llms.txt, a sitemap.

    Attributes:
        status: 0 when there was no answer.
        text: Decoded; for robots.txt at most what is read of it.
        size_bytes: Of all of it.
    """

    url: str
    status: int
    failure: str = ""
    content_type: str = ""
    text: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """One ``url`` of a sitemap: its address as written, its lastmod and its alternates."""

    loc: str
    lastmod: str = ""
    alternates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sitemap:
    """A sitemap that was read.

    Attributes:
        problems: Why it is no valid sitemap.
        is_declared: robots.txt names it, or an index that is declared does.
    """

    file: TextFile
    entries: tuple[SitemapEntry, ...]
    children: tuple[str, ...]
    problems: tuple[str, ...]
    is_declared: bool = True


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate of the site. `error` says why it was not accepted."""

    error: str = ""
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What was asked besides the crawl. None and empty mean that it was not asked.

    Attributes:
        robots_txt: The file; `robots` is what it means.
        llms_txt: /llms.txt.
        favicon: /favicon.ico.
        not_found: A random path that cannot exist: status, title and SimHash of its main text.
        variants: Home page variants (scheme, www) that were asked, with where they ended.
        fetched: What was asked of targets that are no pages of the crawl: external links, images, files, by URL.
        robots_blocked: Internal URLs that were left alone because robots.txt says so.
        tls: None when it was not looked at.
        brand_answers: Answers of a model to category questions, and those of them that name or cite the brand.
    """

    robots_txt: TextFile | None = None
    robots: Robots | None = None
    llms_txt: TextFile | None = None
    favicon: Fetched | None = None
    not_found: tuple[int, str, str] | None = None
    variants: Mapping[str, Fetched] = field(default_factory=dict)
    fetched: Mapping[str, Fetched] = field(default_factory=dict)
    robots_blocked: frozenset[str] = frozenset()
    sitemaps: tuple[Sitemap, ...] | None = None
    tls: Tls | None = None
    brand_answers: tuple[int, int] | None = None


class Site:
    """A site that was crawled.

    Attributes:
        facts: Pages by the URL that answered.
        moved: Redirected requests by the URL that was asked.

    Args:
        start_url: Where the crawl began: the home page.
        pages: Every document fetched, in any order, one at a time; `add` takes more.
        probes: What was asked besides.
        is_complete: Every internal URL that was found was asked; else a page budget ended the crawl.
    """

    def __init__(
        self,
        start_url: str,
        pages: Iterable[Page] = (),
        probes: Probes | None = None,
        *,
        thresholds: Thresholds | None = None,
        is_complete: bool = True,
        on: date | None = None,
        agent: str = "Millrace",
    ) -> None:  # fmt: skip
        self.start_url = start_url
        self.probes = probes or Probes()
        self.thresholds = thresholds or Thresholds()
        self.is_complete = is_complete
        self.today = on or today()
        self.agent = agent
        self.facts: dict[str, PageFacts] = {}
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._inlinks: dict[int, array[int]] = {}
        self._outlinks: dict[int, array[int]] = {}
        self.external: dict[str, list[str]] = {}
        self.images: dict[str, list[str]] = {}
        self.resources: dict[str, tuple[str, list[str]]] = {}
        self.fragments: list[tuple[str, str, str]] = []
        self.home: Page | None = None
        self.moved: dict[str, PageFacts] = {}
        for page in pages:
            self.add(page)

    # Looking up

    def page(self, url: str) -> PageFacts | None:
        """The page that a URL led to."""
        return self.facts.get(url) or self.moved.get(url)

    def answer(self, url: str) -> Fetched | None:
        """What asking a URL came to; None when it was not asked."""
        if (facts := self.moved.get(url)) or (facts := self.facts.get(url)):
            first = facts.redirects[0].status if facts.redirects and facts.requested_url == url else 0
            return Fetched(
                facts.status, facts.failure, facts.url, "text/html" if facts.is_html else "", None, {}, first
            )
        return self.probes.fetched.get(url)

    def linking(self, url: str) -> list[str]:
        """Pages that link to a URL, each once, in the order of the crawl."""
        number = self._numbers.get(url)
        found = self._inlinks.get(number, ()) if number is not None else ()
        return list(dict.fromkeys(self._names[one >> 1] for one in found))

    def inlinks(self, url: str) -> tuple[set[str], set[str]]:
        """Pages that link to a URL with followed links, and with nofollow links; the page itself does not count."""
        followed: set[str] = set()
        unfollowed: set[str] = set()
        number = self._numbers.get(url)
        for one in self._inlinks.get(number, ()) if number is not None else ():
            if (source := self._names[one >> 1]) != url:
                (unfollowed if one & NOFOLLOW else followed).add(source)
        return followed, unfollowed

    def targets(self) -> Iterator[str]:
        """Every internal URL that something links to."""
        return (self._names[number] for number in self._inlinks)

    def indexable(self) -> Iterator[PageFacts]:
        """Pages that search engines may list."""
        return (facts for facts in self.facts.values() if facts.is_indexable)

    def depths(self) -> dict[str, int]:
        """Clicks from the start page to every page that can be reached by links."""
        home = self.page(self.start_url)
        start = self._numbers.get(home.url if home else self.start_url)
        if start is None:
            return {}
        depths, level, depth = {start: 0}, [start], 0
        while level:
            depth += 1
            following: list[int] = []
            for source in level:
                for target in self._outlinks.get(source, ()):
                    landed = self._landing(target)
                    if landed not in depths:
                        depths[landed] = depth
                        following.append(landed)
            level = following
        return {self._names[number]: depth for number, depth in depths.items()}

    # Building

    def _landing(self, number: int) -> int:
        facts = self.moved.get(self._names[number])
        return self._numbers.get(facts.url, number) if facts else number

    def _number(self, url: str) -> int:
        if (found := self._numbers.get(url)) is None:
            found = self._numbers[url] = len(self._names)
            self._names.append(url)
        return found

    def add(self, page: Page) -> None:
        """Take what site rules need of a page."""
        facts = facts_of(page)
        if page.redirects:
            self.moved[page.requested_url] = facts
        is_known = page.url in self.facts
        if not page.redirects or (not is_known and host_key(page.url) == host_key(self.start_url)):
            self.facts[page.url] = facts
        if self.start_url in {page.url, page.requested_url}:
            self.home = page
        if is_known or page.url not in self.facts:
            return  # its links are in the graph already, or it is another site's page
        self._link(page)
        for image in page.images:
            if image.url:
                self.images.setdefault(image.url, []).append(page.url)
        for resource in page.resources:
            self.resources.setdefault(resource.url, (resource.kind, []))[1].append(page.url)

    def _link(self, page: Page) -> None:
        source = self._number(page.url)
        for link in page.links:
            if link.url is None:
                continue
            if not link.is_internal:
                self.external.setdefault(link.url, []).append(page.url)
                continue
            target = self._number(link.url)
            flag = NOFOLLOW if link.is_nofollow else 0
            self._inlinks.setdefault(target, array("q")).append(source << 1 | flag)
            self._outlinks.setdefault(source, array("q")).append(target)
            if link.fragment and len(self.fragments) < FRAGMENT_SAMPLES:
                self.fragments.append((page.url, link.url, link.fragment))


def shared_image(page: Page) -> str:
    """Address of the page's ``og:image``; empty without one."""
    named = page.open_graph.get("og:image", "")
    return (urls.resolve(page.base or page.url, named) or named) if named else ""


def facts_of(page: Page) -> PageFacts:
    """What `Site` keeps of a page."""
    from consumers.audit.entity import linked_phones, organisations_of  # noqa: PLC0415 - reads pages, as this does

    return PageFacts(
        url=page.url,
        requested_url=page.requested_url,
        status=page.status,
        failure=page.failure,
        redirects=page.redirects,
        is_html=page.is_html,
        is_indexable=page.is_indexable,
        is_noindex=page.is_noindex,
        canonical=page.canonical,
        title=page.title,
        description=page.description,
        h1=page.h1,
        locale=page.locale,
        words=page.prose.words,
        digest=page.prose.digest,
        simhash=page.prose.simhash,
        alternates=page.alternates,
        series=page.series,
        anchors=array("q", map(hash, page.anchors)),
        organisations=organisations_of(page),
        og_image=shared_image(page),
        phones=linked_phones(page),
        types=tuple(dict.fromkeys(name for node in walk(page.nodes) for name in types_of(node))),
        markup_errors=sum(bool(one.error) for one in page.markup),
        questions=len(page.prose.questions),
        has_answer=answers_something(page.prose, Thresholds().answer_words),
        is_article=page.authorship.is_article,
        has_author=bool(page.authorship.authors or page.authorship.byline),
        dated_on=max((found for found, _ in page.authorship.dates), default=""),
    )
