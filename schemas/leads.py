"""The `leads` flow at its edges: the spec of a job, what its stages hand on, its result, and the lead book."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from schemas.documents import HttpUrl
from schemas.jobs import Asked
from schemas.stages import Payload

SourceName = Literal["browser", "places", "osm", "csv"]
LeadStatus = Literal["new", "called", "interested", "converted", "do_not_contact"]
BlockKind = Literal["phone", "domain", "name"]
BusinessField = Literal[
    "name", "phone", "website", "address", "rating", "reviews", "category", "place_id", "url", "reviewed_on"
]  # fmt: skip
Selector = Annotated[str, Field(min_length=1, max_length=500)]
LeadId = Annotated[str, Field(min_length=1, max_length=64)]
PAGE_NAME: Final = "website-"
"""How the names of jobs' artifacts begin that are pages of businesses' websites."""
PICTURE_NAME: Final = "failed-listing-"
"""How the names of those begin that are pictures of listings which could not be read."""
MAX_MEASURED: Final = 500
"""Websites that one job measures."""


class Detail(Asked):
    """A panel that a card opens.

    Attributes:
        panel: What appears; it holds the card's name when it is the card's own.
        open: What is clicked within the card; the card itself when unset.
        ready: What must be in the panel before it is read.
        fields: As of `Recipe`, within the panel; they go before the card's.
    """

    panel: Selector
    open: Selector | None = None
    ready: Selector | None = None
    fields: dict[BusinessField, Selector] = Field(default_factory=dict)


class Recipe(Asked):
    """How a listing is read, in CSS selectors.

    A field is ``selector`` (its text), ``selector@attribute``, or ``@attribute`` of the card itself.

    Attributes:
        card: One business.
        fields: Of a card; `name` is needed.
        feed: What scrolls; the window when unset.
        detail: The panel that a card opens.
        consent: What is clicked to close an overlay.
        next: A link to the next page, or a button that shows more.
        end: What appears when a feed has no more.
        markup: Whether schema.org LocalBusiness markup of the page is read too.
        links: Links to businesses' own pages on the listing, which are read by their markup.
        settle_s: How long more cards are waited for, seconds.
        detail_s: How long a panel is waited for, seconds.
    """

    card: Selector | None = None
    fields: dict[BusinessField, Selector] = Field(default_factory=dict)
    feed: Selector | None = None
    detail: Detail | None = None
    consent: tuple[Selector, ...] = ()
    next: Selector | None = None
    end: Selector | None = None
    markup: bool = False
    links: Selector | None = None
    settle_s: float = Field(default=4.0, gt=0, le=60)
    detail_s: float = Field(default=5.0, gt=0, le=60)

    @model_validator(mode="after")
    def _reads_something(self) -> Self:
        if self.card is None and not self.markup and self.links is None:
            raise ValueError("say what is read: card with fields, markup, or links")
        if self.card is not None and "name" not in self.fields:
            raise ValueError("fields needs name: a business without a name is none")
        return self


class LeadsSpec(Asked):
    """What a `leads` job is asked.

    Attributes:
        source: Where businesses come from.
        url: Of the listing, or of a CSV file.
        upload: A CSV file that ``POST /uploads`` took.
        query: What is looked for: ``coffee``; of `osm` a kind of place or a tag (``amenity=cafe``).
        location: Where: ``Athens``.
        limit: Most businesses.
        min_rating: Those rated lower, or not at all, are left out.
        min_reviews: Those with fewer reviews are left out.
        reviewed_within_days: Those without a review of that age are left out.
        website: Whether a business needs a website of its own, must have none, or either.
        recipe: How the listing is read: ``directory``, ``localbusiness``, or a recipe.
        region: Two-letter country of phone numbers without a country code.
        pages: Most pages of each business's website.
        pagespeed: Whether each website is measured.
    """

    source: SourceName
    url: HttpUrl | None = None
    upload: str | None = Field(default=None, max_length=100)
    query: str | None = Field(default=None, min_length=1, max_length=200)
    location: str | None = Field(default=None, min_length=1, max_length=200)
    limit: int = Field(default=200, ge=1, le=10_000)
    min_rating: float | None = Field(default=None, ge=0, le=5)
    min_reviews: int | None = Field(default=None, ge=0)
    reviewed_within_days: int | None = Field(default=None, ge=1, le=3_650)
    website: Literal["any", "own", "none"] = "any"
    recipe: Recipe | Literal["directory", "localbusiness"] = "directory"
    region: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    pages: int = Field(default=4, ge=1, le=20)
    pagespeed: bool = False

    @model_validator(mode="after")
    def _has_what_the_source_needs(self) -> Self:
        if self.source == "browser" and self.url is None:
            raise ValueError("source browser needs url: the address of the listing")
        if self.source == "places" and self.query is None:
            raise ValueError("source places needs query, and mostly location")
        if self.source == "osm" and (self.query is None or self.location is None):
            raise ValueError("source osm needs query and location")
        if self.source == "csv" and (self.url is None) == (self.upload is None):
            raise ValueError("source csv needs either url or upload")
        return self


class Listing(Payload):
    """Into crawl: where the job begins, or a further page of the listing.

    Attributes:
        url: The page; None for the beginning.
        is_business: Whether the page is a business's own, read by its markup.
        token: Of a provider's next page.
    """

    url: str | None = None
    is_business: bool = False
    token: str | None = None


class Business(Payload):
    """Into classify: a business as a source lists it.

    Attributes:
        key: The same each time that the source lists it.
        source_url: Where it was found.
    """

    key: str
    source: SourceName
    source_url: str = ""
    name: str
    phone: str | None = None
    website: str | None = None
    address: str | None = None
    rating: float | None = None
    reviews: int | None = None
    reviewed_on: date | None = None
    category: str | None = None
    place_id: str | None = None
    lat: float | None = None
    lon: float | None = None


class Qualified(Payload):
    """Into download: a business that qualifies. `website` is its own; None when it has none."""

    business: Business
    website: str | None = None


class SitePage(Payload):
    """A page of a business's website, in the artifact store."""

    url: str
    sha256: str
    content_type: str = ""


class VisitedSite(Payload):
    """Into extract: the business and what its website gave; `failure` is why it gave nothing."""

    business: Business
    website: str | None = None
    pages: tuple[SitePage, ...] = ()
    failure: str = ""
    pagespeed: dict[str, Any] | None = None


class Left(Payload):
    """Collected by classify: a business that does not qualify, and why."""

    key: str
    left: str


class Reached(Payload):
    """A way to reach a business. `source` is ``listing``, ``schema.org``, ``link`` or ``text``."""

    value: str
    source: str
    url: str = ""
    label: str = ""


class Origin(Payload):
    """Where a lead was found."""

    job_id: str
    key: str
    source: SourceName
    url: str = ""


class Reason(Payload):
    """A part of a score."""

    code: str
    points: int
    text: str


class FoundLead(Payload):
    """Collected by extract: all that is known of a business.

    Attributes:
        domain: Registrable domain of its own website.
        builder: Site builder or CMS of it.
        problems: What is wrong with its website, as codes of `consumers.leads.score`.
    """

    key: str
    name: str
    address: str | None = None
    category: str | None = None
    rating: float | None = None
    reviews: int | None = None
    lat: float | None = None
    lon: float | None = None
    website: str | None = None
    domain: str | None = None
    phones: tuple[Reached, ...] = ()
    emails: tuple[Reached, ...] = ()
    addresses: tuple[Reached, ...] = ()
    social: tuple[Reached, ...] = ()
    builder: str | None = None
    problems: tuple[str, ...] = ()
    pagespeed: dict[str, Any] | None = None
    origins: tuple[Origin, ...] = ()
    pages: tuple[SitePage, ...] = ()


class LeadLine(Payload):
    """A lead in a result, without what would have to be erased with it."""

    lead_id: str
    score: int
    is_new: bool


class LeadsResult(Payload):
    """The result of a job.

    Attributes:
        businesses: That the source listed.
        left_out: By reason.
        duplicates: Merged into another of this job.
        suppressed: Kept out, because they were erased.
        leads: Best score first.
    """

    businesses: int
    qualified: int
    left_out: dict[str, int]
    duplicates: int
    suppressed: int
    new: int
    leads: tuple[LeadLine, ...]


class LeadChange(Asked):
    """The body of ``PATCH /leads/{id}``; a field that is not there stays."""

    status: LeadStatus | None = None
    owner: str | None = Field(default=None, max_length=200)
    follow_up_on: date | None = None
    note: str | None = Field(default=None, min_length=1, max_length=10_000)


class SpeedSpec(Asked):
    """What a `leads_pagespeed` job is asked: whose websites are measured."""

    leads: tuple[LeadId, ...] = Field(min_length=1, max_length=MAX_MEASURED)


class SpeedStart(Payload):
    """Into crawl: the leads."""

    leads: tuple[str, ...]


class SpeedErrand(Payload):
    """Into download: one lead."""

    lead_id: str


class SpeedLine(Payload):
    """Collected by download: what became of one; `mobile` and `desktop` are of 100."""

    lead_id: str
    status: Literal["measured", "not_measured"]
    reason: str = ""
    mobile: int | None = None
    desktop: int | None = None


class SpeedResult(Payload):
    """The result of a `leads_pagespeed` job."""

    measured: int
    not_measured: int
    leads: tuple[SpeedLine, ...]


class SpeedRequest(Asked):
    """The body of ``POST /leads/pagespeed/bulk``; may be left out.

    Attributes:
        lead_ids: Whose websites are measured; the best that have one and were not measured yet, when none are named.
        limit: Most of those.
        min_score: Those of them with a lower score are left out.
        status: Only those of them with this status.
    """

    lead_ids: tuple[LeadId, ...] = Field(default=(), max_length=MAX_MEASURED)
    limit: int = Field(default=50, ge=1, le=MAX_MEASURED)
    min_score: int | None = Field(default=None, ge=0, le=100)
    status: LeadStatus | None = None


class BlockRequest(Asked):
    """The body of ``POST /leads/blacklist``: a phone number, a registrable domain or a name."""

    kind: BlockKind
    value: str = Field(min_length=1, max_length=300)
    reason: str = Field(default="", max_length=500)


class ErasureRequest(Asked):
    """The body of ``POST /leads/erasures``: whose data is erased, and kept out from then on."""

    email: str | None = Field(default=None, max_length=320)
    phone: str | None = Field(default=None, max_length=50)
    domain: str | None = Field(default=None, max_length=253)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(one is not None for one in (self.email, self.phone, self.domain)) != 1:
            raise ValueError("name exactly one of email, phone and domain")
        return self
