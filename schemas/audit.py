"""The `audit` flow at its edges: the spec of a job, what its stages hand on, and its published result."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.jobs import Asked
from schemas.stages import Payload

MAX_PAGES = 50_000
"""Most pages one audit may crawl."""

Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")

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
    """What a rule found.

    Attributes:
        rule: Its id.
        evidence: Selector, snippet or measured value, as text.
        url: The page it is about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    evidence: str = ""
    url: str = ""


class PageRecord(Payload):
    """Into classify and extract, and collected: a page as it was read.

    Attributes:
        requested_url: What was asked for, when redirects led elsewhere.
        status: HTTP status; 0 when there was no answer, and `failure` says why.
        page: What was read from it (`consumers.audit`).
        page_type, is_indexable: Found by classify.
        reused: The copy of the audit before was still good (304).
    """

    kind: Literal["page"] = "page"
    url: str
    start: str
    requested_url: str = ""
    status: int = 0
    failure: str = ""
    depth: int = 0
    via: str = "link"
    found_on: str = ""
    redirects: tuple[Hop, ...] = ()
    content_type: str = ""
    size_bytes: int = 0
    ttfb_ms: float | None = None
    etag: str | None = None
    last_modified: str | None = None
    reused: bool = False
    rendered: bool = False
    page_type: str = ""
    is_indexable: bool = False
    page: dict[str, Any] = Field(default_factory=dict)


class Errand(Payload):
    """Into download: something beside the pages to ask for.

    Attributes:
        kind: ``links`` asks whether addresses are there; ``site`` looks at robots.txt, sitemaps, llms.txt, host
            variants and what a page that cannot be answers; the others are measured parts.
    """

    kind: Literal["links", "site", "pagespeed", "rankings", "backlinks", "visibility", "competitors"]
    start: str
    urls: tuple[str, ...] = ()
    found_on: str = ""


class Kept(Payload):
    """Collected by download: what an errand brought.

    Attributes:
        kind: As of the errand; ``links`` has one `data` for an address.
    """

    kind: str
    data: dict[str, Any]
