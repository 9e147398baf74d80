"""The `filings` flow at its edges: the spec of a job, what its stages hand on, and its result.

Every stage payload carries its schema version `v`. Amounts are exact decimals, written to JSON as
numbers, as printed (parentheses negative, a printed dash 0, a blank cell absent) and in units of the
statement's `unit_multiplier`, but for rows whose `unit` is not `amount`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, field_validator, model_validator

from schemas.stages import CompileRequest

DocumentType = Literal["annual_report", "quarterly_report", "presentation", "press_release", "other"]
StatementKind = Literal["income_statement", "balance_sheet", "cash_flow"]
DocumentFormat = Literal["pdf", "html", "unknown"]
Frequency = Literal["annual", "quarterly", "year_to_date"]
LlmUse = Literal["never", "gaps", "always"]
RowUnit = Literal["amount", "per_share", "shares"]
MatchedBy = Literal["tag", "label", "similar_label", "position", "arithmetic"]

STATEMENT_KINDS: tuple[StatementKind, ...] = ("income_statement", "balance_sheet", "cash_flow")

MAX_YEARS = 50
"""Most fiscal years one job may ask for."""

FISCAL_YEARS = range(1900, 2101)
"""Years that may be fiscal years."""

MAX_PAGES = 10_000
"""Most pages one job may be allowed to crawl."""


def _json_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


Box = tuple[float, float, float, float]
"""(left, bottom, right, top) in points from a page's lower left corner."""

Amount = Annotated[Decimal, PlainSerializer(_json_number, return_type=int | float, when_used="json")]
"""An exact amount; a number in JSON."""


class FilingsModel(BaseModel):
    """Frozen; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FilingsPayload(FilingsModel):
    """With its schema version."""

    v: Literal[1] = 1


# --- the spec of a job ------------------------------------------------------------------------


class _Asked(FilingsModel):
    """Refuses unknown fields by name, with the known ones in the message."""

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(str(name) for name in data if name not in cls.model_fields)
            if unknown:
                known = ", ".join(cls.model_fields)
                names = ", ".join(repr(name) for name in unknown)
                raise ValueError(f"unknown field {names}; known fields are {known}")
        return data


class Company(_Asked):
    """The company whose site is read; found from its reports when not given.

    Attributes:
        id: Of a company that is known already; what the job finds is added to it.
    """

    id: str | None = Field(default=None, pattern="^[0-9a-f]{24}$")
    name: str | None = Field(default=None, min_length=1, max_length=200)
    ticker: str | None = Field(default=None, min_length=1, max_length=20)


class FilingsSpec(_Asked):
    """What a `filings` job is asked.

    Attributes:
        url: The investor-relations page to start from, http or https.
        company: Name and ticker, when the caller knows them.
        years: A list of fiscal years, or a count n for the latest n; None for all.
        document_types: Which documents to download and read.
        max_pages: Most pages of the site to crawl, documents not counted.
        watch: Tell by mail or webhook only of a new filing or a restatement; the first run tells of nothing, it is
            what later ones are compared with.
        llm: When a language model is asked, if the operator named one: for statements that were not found or are
            doubtful (gaps), for all, or never.
    """

    url: str = Field(max_length=2_000)
    company: Company | None = None
    years: int | tuple[int, ...] | None = None
    document_types: tuple[DocumentType, ...] = ("annual_report",)
    max_pages: int = Field(default=200, ge=1, le=MAX_PAGES)
    watch: bool = False
    llm: LlmUse = "gaps"

    @field_validator("url")
    @classmethod
    def _http_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url.strip())
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"url {url!r} cannot be read: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError(f"url {url!r} must begin with http:// or https:// and name a host")
        return url.strip()

    @field_validator("years")
    @classmethod
    def _years(cls, years: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        if isinstance(years, int):
            if not 1 <= years <= MAX_YEARS:
                raise ValueError(
                    f"years={years} as a count must be 1 to {MAX_YEARS}; "
                    f"for certain fiscal years give a list, as in [{years}]"
                )
        elif years is not None:
            if not 1 <= len(years) <= MAX_YEARS:
                raise ValueError(f"years must list 1 to {MAX_YEARS} fiscal years")
            strange = [year for year in years if year not in FISCAL_YEARS]
            if strange:
                raise ValueError(f"years lists {strange[0]}, which is not in 1900..2100")
            years = tuple(sorted(set(years), reverse=True))
        return years

    @field_validator("document_types")
    @classmethod
    def _some_types(cls, types: tuple[DocumentType, ...]) -> tuple[DocumentType, ...]:
        if not types:
            raise ValueError("document_types must name at least one type")
        return tuple(dict.fromkeys(types))


# --- payloads between the stages --------------------------------------------------------------


class CrawlPage(FilingsPayload):
    """Into crawl: one page to read. The page the job starts from has depth 0.

    Attributes:
        rendered: Read it in a browser: its own text links no document.
        is_guess: Nothing links it; when it is not there, nothing is missing.
        link_text: What the link to it says, in case that it is a document after all; at most 300 characters.
    """

    url: str
    depth: int = Field(ge=0)
    link_text: str = ""
    rendered: bool = False
    is_guess: bool = False


class FoundDocument(FilingsPayload):
    """Into classify: a link that may lead to a report.

    Attributes:
        url: Absolute, without a fragment.
        link_text: What the link says, at most 300 characters.
        source_url: The page that carries the link.
        context: Text around the link (row, list item, heading before it), at most 300 characters.
        format: What the address looks like.
        company_id: Of a job that begins here: whose document it is.
    """

    url: str
    link_text: str = ""
    source_url: str = ""
    context: str = ""
    format: DocumentFormat = "unknown"
    company_id: str | None = None


class Classification(FilingsModel):
    """A document's type with the reasons for it.

    Attributes:
        confidence: 0..1; under 0.5 it is a guess.
        reasons: What was seen, strongest first, as in "head: form 10-k".
        fiscal_year: The year in which the reported fiscal year ends, when one was seen.
    """

    document_type: DocumentType
    confidence: float = Field(ge=0, le=1)
    reasons: tuple[str, ...] = ()
    fiscal_year: int | None = None


class ClassifiedDocument(FilingsPayload):
    """Into download: a document worth having, with its provisional class.

    Attributes:
        published_on: The day that its link or address names.
        company_id: Of a job that begins here: whose document it is.
    """

    url: str
    link_text: str = ""
    source_url: str = ""
    provisional: Classification
    published_on: date | None = None
    company_id: str | None = None


class DownloadedDocument(FilingsPayload):
    """Into extract: the bytes are in the artifact store under `sha256`.

    Attributes:
        url: As linked; `final_url` after redirects.
        content_type: Told from the bytes when the server's header says nothing useful.
        not_modified: The server answered 304 and the copy of an earlier job is used.
    """

    url: str
    final_url: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    content_type: str
    etag: str | None = None
    last_modified: str | None = None
    not_modified: bool = False
    link_text: str = ""
    source_url: str = ""
    provisional: Classification
    published_on: date | None = None
    company_id: str | None = None


class CompileCompany(CompileRequest):
    """Into compile. The log writes it without `company_id`; a job that begins here says whose statements."""

    company_id: str | None = None


# --- statements -------------------------------------------------------------------------------


class Period(FilingsModel):
    """A column of a statement.

    Attributes:
        end: Last day of the period, or the day of the balance.
        months: Length of the period; None for a balance or when the header does not say.
        label: The header as printed.
    """

    end: date
    months: int | None = None
    label: str = ""


class Cell(FilingsModel):
    """One printed value.

    Attributes:
        text: As printed.
        page: 1-based page; 1 for HTML.
        box: (left, bottom, right, top) in points from the page's lower left corner; None for HTML.
        tag: The XBRL element of the fact that is printed here, with its prefix; None in a document without tags.
        tag_value: What that fact says: the full amount, with the sign of the taxonomy.
        confidence: 0..1, from how it was read and which arithmetic it takes part in; None when not assessed.
        flags: What speaks against it, in words.
    """

    value: Amount
    text: str
    page: int = Field(ge=1)
    box: Box | None = None
    tag: str | None = None
    tag_value: Amount | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    flags: tuple[str, ...] = ()


class Row(FilingsModel):
    """A printed line. `cells` stands under the statement's `periods`; a blank is None.

    Attributes:
        label: As printed, joined over wrapped lines; "" for an unlabelled subtotal.
        level: 0 for the left-most labels, one more for each indent.
        section: The heading it stands under, "" when none.
        concepts: The standard concepts it is, the closest first; most rows are one or none.
        matched_by: What told the concept.
        standard_sign: A printed value times this has the sign of the published convention.
    """

    label: str
    level: int = Field(default=0, ge=0)
    section: str = ""
    unit: RowUnit = "amount"
    cells: tuple[Cell | None, ...]
    concepts: tuple[str, ...] = ()
    matched_by: MatchedBy | None = None
    standard_sign: Literal[1, -1] = 1


class Check(FilingsModel):
    """An arithmetic identity tried on the values, as in "assets = liabilities + equity"."""

    name: str
    period_end: date
    left: Amount
    right: Amount
    ok: bool


class Statement(FilingsModel):
    """A statement as one document prints it.

    Attributes:
        currency: ISO 4217, None when the document does not say.
        unit_multiplier: 1_000_000 for "in millions".
        pages: 1-based.
        flags: What a reader should doubt, in words.
        checks: The arithmetic that was tried on it.
        confidence: 0..1, the mean of its cells'; None when not assessed.
    """

    kind: StatementKind
    title: str = ""
    currency: str | None = None
    unit_multiplier: int = Field(default=1, ge=1)
    pages: tuple[int, ...] = ()
    periods: tuple[Period, ...]
    rows: tuple[Row, ...]
    flags: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    confidence: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        for row in self.rows:
            if len(row.cells) != len(self.periods):
                raise ValueError(f"row {row.label!r} has {len(row.cells)} cells under {len(self.periods)} periods")
        return self


class Problem(FilingsModel):
    """Why something could not be read.

    Attributes:
        reason: A short code: a `DocumentReason`, or `statement_not_found`, `columns_not_understood`.
        detail: In words, for a person.
        statement: The statement concerned, None for the whole document.
    """

    reason: str
    detail: str = ""
    statement: StatementKind | None = None


class ExtractedDocument(FilingsPayload):
    """From extract, collected for compile: what one document says, or why it says nothing.

    Attributes:
        confirmed: The class by content; None when the content could not be read.
        period_end: The latest period end of the statements, or of the cover.
        page_count: 0 when unknown.
        problems: Everything that could not be read; empty when all three statements were.
        published_on: As its link or address says.
    """

    url: str
    sha256: str
    provisional: Classification
    confirmed: Classification | None = None
    company_name: str | None = None
    period_end: date | None = None
    page_count: int = Field(default=0, ge=0)
    statements: tuple[Statement, ...] = ()
    problems: tuple[Problem, ...] = ()
    published_on: date | None = None

    @property
    def classification(self) -> Classification:
        """The confirmed class, else the provisional one."""
        return self.confirmed or self.provisional
