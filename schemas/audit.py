"""The `audit` flow at its edges: the spec of a job and what its stages hand on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from schemas.jobs import Asked
from schemas.stages import Payload

MAX_PAGES = 50_000
"""Most pages one audit may crawl."""

WebUrl = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2_000)]
Glob = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(min_length=1, max_length=200)]

PartKind = Literal["pagespeed", "keywords", "rankings", "backlinks", "visibility", "competitors"]
PARTS: tuple[PartKind, ...] = ("pagespeed", "keywords", "rankings", "backlinks", "visibility", "competitors")
"""What is measured beside the crawl."""

GEO_PARTS: tuple[PartKind, ...] = ("rankings", "backlinks", "visibility")
"""Those that need a provider outside."""


# --- the spec of a job ------------------------------------------------------------------------


class AuditSpec(Asked):
    """What an `audit` job is asked.

    Attributes:
        url: Where the crawl begins; its host is the site.
        max_pages: Pages read at most.
        max_depth: Links from the start to the deepest page.
        include: Globs over path and query (``/blog/*``); only these pages are read.
        exclude: Globs of pages that are left out.
        render: Pages in a browser: ``auto`` when their static text is thin and a browser is there.
        check_links: Ask links that leave the site, and images, scripts and style sheets, whether they are there.
        login: Use the login that is kept with the website (`PUT /websites/{id}`), for staging sites.
        competitors: Sites to compare with; found by the rankings provider when none are given.
        pagespeed: Measure the start page, mobile and desktop.
        geo: Keywords, rankings, backlinks, visibility in language models.
        external_intel: Ask providers outside at all; false for the fast mode.
        report: Write the report; false for the fast mode.
        brand, category: As people call it; found on the site when not given.
        keywords: To be looked up beside those of the site.
        questions: To ask language models; made from the category when none are given.
    """

    url: WebUrl
    max_pages: Annotated[int, Field(ge=1, le=MAX_PAGES)] = 50
    max_depth: Annotated[int, Field(ge=0, le=100)] = 20
    include: tuple[Glob, ...] = Field(default=(), max_length=100)
    exclude: tuple[Glob, ...] = Field(default=(), max_length=100)
    render: Literal["auto", "never", "always"] = "auto"
    check_links: bool = True
    login: bool = False
    competitors: tuple[WebUrl, ...] = Field(default=(), max_length=5)
    pagespeed: bool = True
    geo: bool = True
    external_intel: bool = True
    report: bool = True
    brand: Words | None = None
    category: Words | None = None
    keywords: tuple[Words, ...] = Field(default=(), max_length=50)
    questions: tuple[Words, ...] = Field(default=(), max_length=20)


# --- payloads between the stages --------------------------------------------------------------


class Target(Payload):
    """Into crawl: one address to read.

    Attributes:
        start: The page that the crawl begins at: it says what the site is.
        kind: ``gate`` stands for a page of a suspicious pattern that must pass its pattern's budget first.
        via: How it was found.
    """

    url: str
    start: str
    depth: int = Field(ge=0)
    kind: Literal["page", "gate", "sitemap"] = "page"
    via: Literal["start", "link", "sitemap", "redirect"] = "link"
    found_on: str = ""


class Hop(BaseModel):
    """One redirect that was followed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int
    url: str
    location: str


class Finding(BaseModel):
    """What a rule found on a page.

    Attributes:
        rule: Its id.
        detail: What is wrong, in words.
        snippet: The element, header or line.
        target: The address concerned, when it is another than the page.
        count: Findings that it stands for, when only the first ones are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    detail: str
    snippet: str = ""
    target: str = ""
    count: int = 1


class PageSeen(Payload):
    """Into classify: what is known of a page at first sight.

    Attributes:
        requested_url: What was asked for, when redirects led elsewhere.
        status: HTTP status; 0 when there was no answer, and `failure` says why.
        markup: Types that its structured data names.
    """

    url: str
    start: str
    requested_url: str = ""
    status: int = 0
    failure: str = ""
    depth: int = 0
    is_html: bool = False
    is_noindex: bool = False
    canonical: str | None = None
    title: str = ""
    words: int = 0
    markup: tuple[str, ...] = ()
    is_article: bool = False
    has_form: bool = False


class PageClass(PageSeen):
    """Into extract: a page with its type.

    Attributes:
        is_indexable: Search engines may list it; `reason` says why not.
    """

    page_type: str
    is_indexable: bool
    reason: str = ""


class KeptLink(BaseModel):
    """A link of a page, as much as the site's rules need."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    fragment: str = ""
    internal: bool = True
    nofollow: bool = False
    text: str = ""


class KeptPage(Payload):
    """Collected by crawl: a page as the site's rules need it, and what its own rules found.

    Attributes:
        page: Its signals, without what `links`, `images` and `resources` say shorter.
        resources: Kind and address of what it loads.
        findings: Of the rules that judge pages; at most 50 of each.
        passed, not_applicable, not_measured: Ids of the other rules.
        reused: The copy of the audit before was still good (HTTP 304).
    """

    kind: Literal["page"] = "page"
    url: str
    depth: int = 0
    via: str = "link"
    found_on: str = ""
    page: dict[str, Any]
    links: tuple[KeptLink, ...] = ()
    images: tuple[str, ...] = ()
    resources: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()
    passed: tuple[str, ...] = ()
    not_applicable: tuple[str, ...] = ()
    not_measured: tuple[str, ...] = ()
    etag: str | None = None
    last_modified: str | None = None
    reused: bool = False
    rendered: bool = False
    text: str = ""


class KeptClass(Payload):
    """Collected by extract: a page's type."""

    kind: Literal["class"] = "class"
    url: str
    page_type: str
    is_indexable: bool
    reason: str = ""


class Errand(Payload):
    """Into download: something beside the pages to ask for.

    Attributes:
        kind: ``link`` asks whether an address is there; ``site`` looks at robots.txt, sitemaps, llms.txt, host
            variants and what an address that cannot be answers; the others are measured parts.
    """

    kind: Literal["link", "site", "pagespeed", "backlinks", "competitors"]
    start: str
    url: str = ""
    found_on: str = ""


ErrandKind = Literal["link", "site", "sitemap", "pagespeed", "rankings", "backlinks", "visibility", "competitors"]


class KeptErrand(Payload):
    """Collected by download: what an errand brought; and by crawl: a sitemap."""

    kind: ErrandKind
    url: str = ""
    data: dict[str, Any]


class Collected(RootModel[dict[str, Any]]):
    """Anything that was collected, to be told apart by its ``kind``."""
