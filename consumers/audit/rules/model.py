"""What a rule is and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from consumers.audit.document import Lighthouse
from consumers.audit.rules.thresholds import Thresholds

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import Site

MAX_EVIDENCE: Final = 50
"""Findings of one rule on one page that are kept; the verdict says how many there were."""

_SKIPS: Final = 256
"""Reasons that are kept: a crawl gives the same few over and over."""

Tier = Literal["core", "extended"]
Scope = Literal["page", "link", "image", "resource", "site"]


class Severity(StrEnum):
    """How much harm a fault does."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Status(StrEnum):
    """What a rule came to."""

    FAILED = "failed"
    PASSED = "passed"
    NOT_APPLICABLE = "not_applicable"
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One place where a rule fails.

    Attributes:
        url: The page it is found on.
        detail: What is wrong there, in words.
        snippet: The element, header or line; empty when the page as a whole is meant.
        target: The URL concerned, when it is another than the page: a link's target, an image.
    """

    url: str
    detail: str
    snippet: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a rule has nothing to say."""

    status: Literal[Status.NOT_APPLICABLE, Status.NOT_MEASURED]
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule said of a page, or of the site.

    Attributes:
        evidence: At least one when it failed; at most `MAX_EVIDENCE`.
        count: Findings in all.
        why: For what was not applicable or not measured.
    """

    rule: str
    status: Status
    evidence: tuple[Evidence, ...] = ()
    count: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What page rules know besides the page.

    Attributes:
        today: The date that ages are counted to.
        is_linked: The page is linked internally or listed in the sitemap.
        home_url: The site's start page; None when only this document is known, then the root path is home.
        lighthouse: What Lighthouse measured of this page; empty when it did not run.
        resources: Status and headers of what the page loads, by URL, when they were asked for.
    """

    today: date
    thresholds: Thresholds = field(default_factory=Thresholds)
    is_linked: bool = True
    home_url: str | None = None
    lighthouse: tuple[Lighthouse, ...] = ()
    resources: Mapping[str, Fetched] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What asking a URL came to, body aside.

    Attributes:
        status: 0 when there was no answer; `failure` then says why.
        url: Where it ended after redirects; empty when it is what was asked.
        content_type: ``type/subtype`` in lower case; empty when none was sent.
        size_bytes: As transferred or as Content-Length says; None when not known.
        headers: Names in lower case; empty when not kept.
        redirect_status: Status of the first hop; 0 without a redirect.
    """

    status: int
    failure: str = ""
    url: str = ""
    content_type: str = ""
    size_bytes: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    redirect_status: int = 0
    width: int | None = None
    height: int | None = None

    @property
    def is_error(self) -> bool:
        """It answered 4xx or 5xx, or nothing."""
        return self.status >= 400 or self.status == 0  # noqa: PLR2004


PageGuard = Callable[["Page", Context], Skip | None]
PageCheck = Callable[["Page", Context], Iterable[Evidence]]
SiteGuard = Callable[["Site"], Skip | None]
SiteCheck = Callable[["Site"], Iterable[Evidence]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule and how it is judged.

    Attributes:
        about: When it fails, in a sentence.
        fix: The change to make.
        needs: What it looks at: ``html headers crawl robots sitemap lighthouse browser tls llm``.
        on_page: Judges one page.
        on_site: Judges the site; a rule has one of the two, or both when the site knows more than its pages.
    """

    id: str
    category: str
    severity: Severity
    tier: Tier
    scope: Scope
    needs: tuple[str, ...]
    about: str
    fix: str
    threshold: str = ""
    on_page: PageCheck | None = None
    on_site: SiteCheck | None = None
    page_guards: tuple[PageGuard, ...] = ()
    site_guards: tuple[SiteGuard, ...] = ()


@lru_cache(_SKIPS)
def applies_not(why: str) -> Skip:
    """The rule is about something that is not here."""
    return Skip(Status.NOT_APPLICABLE, why)


@lru_cache(_SKIPS)
def unmeasured(why: str) -> Skip:
    """What the rule needs was not taken."""
    return Skip(Status.NOT_MEASURED, why)
