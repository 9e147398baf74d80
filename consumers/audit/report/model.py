"""What a report is made from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from schemas.audit_result import AuditResult, Example
from schemas.jobs import Asked


class WhiteLabel(Asked):
    """Whose report it is, by looks: an agency's, for its client.

    Attributes:
        agency: Name on the cover and in the footer.
        client: For whom it was made.
        accent: Colour of headings and charts.
        footer: A line at the end of every page.
        logo: A PNG, base64; at most 256 KiB.
    """

    agency: Annotated[str, Field(max_length=100)] = ""
    client: Annotated[str, Field(max_length=100)] = ""
    accent: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#1f5fbf"
    footer: Annotated[str, Field(max_length=200)] = ""
    logo: Annotated[str, Field(max_length=350_000, pattern=r"^[A-Za-z0-9+/=\s]*$")] = ""


class ScorePoint(BaseModel):
    """The score of one audit. `at` is a date, ISO."""

    model_config = ConfigDict(frozen=True)

    at: str
    score: float


class FixedIssue(BaseModel):
    """An issue that the audit before had and this one has not."""

    model_config = ConfigDict(frozen=True)

    rule: str
    url: str


class ReportInput(BaseModel):
    """Everything that a report tells.

    Attributes:
        made_on: The date on the cover, ISO.
        history: Oldest first, this audit last.
        parts: The newest of each measured part; they may be newer than the result.
    """

    model_config = ConfigDict(frozen=True)

    result: AuditResult
    name: str
    made_on: str
    label: WhiteLabel = WhiteLabel()
    history: tuple[ScorePoint, ...] = ()
    fixed: tuple[FixedIssue, ...] = ()
    parts: dict[str, Any] = Field(default_factory=dict)


class Rendered(BaseModel):
    """A report in its three forms. `pdf` is base64 of the file: it comes from a subprocess as JSON."""

    markdown: str
    html: str
    pdf: str


__all__ = ["Example", "FixedIssue", "Rendered", "ReportInput", "ScorePoint", "WhiteLabel"]
