"""The entry point for a subprocess: bytes of a report in, plain values out, no exceptions for bad documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.filings.classify import classify
from consumers.filings.errors import DocumentError
from consumers.filings.pdf import MAX_PAGES
from consumers.filings.read_html import read_html
from consumers.filings.read_pdf import read_pdf
from schemas.filings import Classification, DownloadedDocument, ExtractedDocument, Problem, Statement

if TYPE_CHECKING:
    from datetime import date

    from consumers.filings.facts import Fact
    from consumers.filings.reading import Reading

_HEAD: Final = 2_048
_REGISTRANT: Final = re.compile(
    r"^(?P<name>.{2,80}?)\s*\n\s*\(?\s*Exact name of registrant", re.IGNORECASE | re.MULTILINE
)
_INCORPORATED: Final = re.compile(
    r"^\s*(?P<name>[A-Z0-9][\w&.,\u2019' -]{1,60}?\s"
    r"(?:plc|PLC|Plc|Inc\.?|INC\.?|Corp(?:oration|\.)?|CORPORATION|Ltd\.?|Limited|LIMITED|AG|SE|SA|S\.A\.|NV|N\.V\."
    r"|GmbH|ASA|AB|Oyj|S\.p\.A\.))(?=\s|$)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class ExtractedReport:
    """What one document says. `confirmed` is None when nothing in it could be read; `problems` tells why.

    Attributes:
        facts: The tagged numbers without dimensions of an inline XBRL report.
    """

    confirmed: Classification | None
    company_name: str | None
    period_end: date | None
    page_count: int
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...]
    facts: tuple[Fact, ...] = ()

    def of(self, document: DownloadedDocument) -> ExtractedDocument:
        """The payload of the extract stage for a downloaded document."""
        return ExtractedDocument(
            url=document.url,
            sha256=document.sha256,
            provisional=document.provisional,
            confirmed=self.confirmed,
            company_name=self.company_name,
            period_end=self.period_end,
            page_count=self.page_count,
            statements=self.statements,
            problems=self.problems,
        )


def read_report(
    data: bytes, content_type: str = "", url: str = "", link_text: str = "", max_pages: int = MAX_PAGES
) -> ExtractedReport:
    """Read a report. Takes and returns plain values, so that it can run in another process.

    Args:
        data: The document.
        content_type: As served; the bytes themselves are believed more.
        url: Where it came from, for its class.
        link_text: What the link to it says, for its class.
        max_pages: PDFs with more pages are refused.

    Returns:
        A document that cannot be read comes back with the reason in `problems`.

    Raises:
        ModuleNotFoundError: The extra that reads PDFs is not installed.
    """
    try:
        reading = _read(data, content_type, max_pages)
    except DocumentError as error:
        problem = Problem(reason=error.reason, detail=error.detail)
        return ExtractedReport(None, None, None, error.page_count, (), (problem,))
    months = [p.months for s in reading.statements for p in s.periods if p.months is not None]
    confirmed = classify(
        url,
        link_text=link_text,
        head=reading.head,
        page_count=reading.page_count or None,
        statement_months=min(months, default=None),
    )
    if reading.year_end is not None and (reading.statements or confirmed.fiscal_year is None):
        confirmed = confirmed.model_copy(update={"fiscal_year": reading.year_end.year})
    return ExtractedReport(
        confirmed=confirmed,
        company_name=_company_name(reading.head),
        period_end=reading.year_end,
        page_count=reading.page_count,
        statements=reading.statements,
        problems=reading.problems,
        facts=reading.facts,
    )


def kind_of_bytes(data: bytes) -> str | None:
    """`application/pdf`, `text/html`, or None when the first bytes are neither."""
    head = data[:_HEAD].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    if b"%PDF-" in data[:1_024]:
        return "application/pdf"
    if re.search(rb"<\s*(?:!doctype\s+html|html|head|body|table|\?xml)", head, re.IGNORECASE):
        return "text/html"
    return None


def _read(data: bytes, content_type: str, max_pages: int) -> Reading:
    kind = kind_of_bytes(data) or content_type.partition(";")[0].strip().lower()
    if not data.strip():
        raise DocumentError("empty", "the document has no bytes; download it again")
    if kind == "application/pdf":
        return read_pdf(data, max_pages)
    if kind in ("text/html", "application/xhtml+xml"):
        return read_html(data)
    raise DocumentError("unsupported_type", f"the document is neither a PDF nor HTML (served as {content_type or '?'})")


def _company_name(head: str) -> str | None:
    """The registrant of a U.S. filing, else the first name on the cover with the mark of a company."""
    match = _REGISTRANT.search(head) or _INCORPORATED.search(head)
    return " ".join(match["name"].split()).strip(" _*") if match else None
