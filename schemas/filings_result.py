"""The outcome of a `filings` job: statements over the years, restatements, what is missing and what is new."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from schemas.filings import (
    Amount,
    Box,
    Check,
    Classification,
    Company,
    FilingsModel,
    FilingsPayload,
    Frequency,
    Problem,
    RowUnit,
    StatementKind,
)


class DocumentSummary(FilingsModel):
    """A document of the company, without its rows.

    Attributes:
        company: Whose, where a site has the reports of several.
    """

    url: str
    sha256: str
    company: str | None = None
    published_on: date | None = None
    provisional: Classification
    confirmed: Classification | None = None
    period_end: date | None = None
    page_count: int = 0
    statements_read: tuple[StatementKind, ...] = ()
    problems: tuple[Problem, ...] = ()


class Reported(FilingsModel):
    """A value as one document printed it, in the compiled statement's unit."""

    value: Amount
    sha256: str
    page: int = Field(ge=1)
    label: str
    fiscal_year: int | None = None
    box: Box | None = None


class Correction(FilingsModel):
    """A person's word on a cell, which holds over every compile until it is withdrawn.

    Attributes:
        value: What holds, in the compiled statement's unit.
        printed: What the documents print; None when they printed nothing there.
        by: Who: the name of an API key, or of the user of the command line.
    """

    id: str
    value: Amount
    printed: Amount | None = None
    reason: str
    by: str
    at: datetime


class CompiledCell(FilingsModel):
    """The value that holds, from the latest filing that prints it.

    Attributes:
        sha256, page, box, label: Where it is printed, and how its line is called there.
        restated: An earlier filing printed another value; see `FilingsResult.restatements`.
        correction: A person's, whose value this is.
    """

    value: Amount
    sha256: str
    page: int = Field(ge=1)
    restated: bool = False
    box: Box | None = None
    label: str = ""
    correction: Correction | None = None


class CompiledRow(FilingsModel):
    """A line over the years. `cells` stands under the statement's `period_ends`.

    Attributes:
        key: The normalised label, unique within the statement.
        concepts: The standard concepts it is, the closest first.
        standard_sign: A value times this has the sign of the published convention.
        flags: Why the match over the filings should be doubted, in words.
    """

    key: str
    label: str
    level: int = 0
    section: str = ""
    unit: RowUnit = "amount"
    cells: tuple[CompiledCell | None, ...]
    flags: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()
    standard_sign: Literal[1, -1] = 1


class CompiledStatement(FilingsModel):
    """One statement of a company over all its filings, newest period first.

    Attributes:
        frequency: Annual, quarterly (three months, and balances of quarterly reports), or year to date (six or nine
            months); never mixed.
        company: Whose, where a site has the reports of several.
    """

    kind: StatementKind
    frequency: Frequency = "annual"
    company: str | None = None
    currency: str | None = None
    unit_multiplier: int = 1
    period_ends: tuple[date, ...]
    rows: tuple[CompiledRow, ...]
    checks: tuple[Check, ...] = ()


class Restatement(FilingsModel):
    """A value that a later filing prints differently.

    Attributes:
        first: As first reported.
        changes: Each later filing that changed it, oldest first; the last one holds.
    """

    statement: StatementKind
    frequency: Frequency = "annual"
    company: str | None = None
    key: str = ""
    label: str
    period_end: date
    first: Reported
    changes: tuple[Reported, ...] = Field(min_length=1)


class Missing(FilingsModel):
    """Something the result does not have, as in a fiscal year or a refused document."""

    what: str
    reason: str
    url: str | None = None


class News(FilingsModel):
    """What a compile has that the one before it had not.

    Attributes:
        filings: Documents.
        restatements: Values that a later filing prints differently.
        lines: The same for people, a line each.
    """

    filings: tuple[DocumentSummary, ...] = ()
    restatements: tuple[Restatement, ...] = ()
    lines: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.filings or self.restatements)


class LlmSpent(FilingsModel):
    """What a job used of a language model; `cost_usd` is None when its prices are not known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


class FilingsResult(FilingsPayload):
    """The outcome of a `filings` job.

    Attributes:
        company_id: What the company's routes take.
        discovered_count, created_count, downloaded_count: As in `DocumentsResult`.
        news: What is new since the compile before; None when there was none.
    """

    company: Company
    company_id: str | None = None
    statements: tuple[CompiledStatement, ...] = ()
    restatements: tuple[Restatement, ...] = ()
    documents: tuple[DocumentSummary, ...] = ()
    missing: tuple[Missing, ...] = ()
    discovered_count: int = 0
    created_count: int = 0
    downloaded_count: int = 0
    news: News | None = None
    llm: LlmSpent | None = None
