from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from schemas.filings import (
    Cell,
    Classification,
    ClassifiedDocument,
    CrawlPage,
    DownloadedDocument,
    ExtractedDocument,
    FilingsSpec,
    FoundDocument,
    Period,
    Row,
    Statement,
)
from schemas.filings_result import FilingsResult


def test_a_spec_needs_only_a_url() -> None:
    spec = FilingsSpec(url=" https://example.com/investors ")
    assert spec.url == "https://example.com/investors"
    assert (spec.years, spec.document_types, spec.company) == (None, ("annual_report",), None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com"}, "http:// or https://"),
        ({"url": "http://"}, "name a host"),
        ({"url": "http://[::1"}, "cannot be read"),
        ({"url": "http://example.com:99999/"}, "cannot be read"),
        ({"url": "http://example.com/", "yeras": 3}, "unknown field 'yeras'"),
        ({"url": "http://example.com/", "company": {"nmae": "x"}}, "unknown field 'nmae'"),
        ({"url": "http://example.com/", "years": 2023}, "[2023]"),
        ({"url": "http://example.com/", "years": 0}, "count"),
        ({"url": "http://example.com/", "years": [23]}, "1900..2100"),
        ({"url": "http://example.com/", "years": []}, "1 to 50"),
        ({"url": "http://example.com/", "document_types": ["novel"]}, "annual_report"),
        ({"url": "http://example.com/", "document_types": []}, "at least one"),
        ({"url": "http://example.com/", "max_pages": 0}, "max_pages"),
        ({"url": 7}, "url"),
    ],
)
def test_what_is_wrong_with_a_spec_is_said(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FilingsSpec.model_validate(data)
    assert said in str(caught.value)


def test_years_are_a_count_or_a_list() -> None:
    assert FilingsSpec(url="http://example.com/", years=5).years == 5
    assert FilingsSpec.model_validate({"url": "http://example.com/", "years": [2022, 2023, 2022]}).years == (2023, 2022)


PROVISIONAL = Classification(document_type="annual_report", confidence=0.8, reasons=("link text: annual report",))
STATEMENT = Statement(
    kind="balance_sheet",
    periods=(Period(end=date(2024, 3, 31)), Period(end=date(2023, 3, 31))),
    rows=(Row(label="Cash", cells=(Cell(value=Decimal("57.5"), text="57.5", page=3), None)),),
)
PAYLOADS = [
    CrawlPage(url="http://example.com/", depth=0),
    FoundDocument(url="http://example.com/a.pdf", format="pdf"),
    ClassifiedDocument(url="http://example.com/a.pdf", provisional=PROVISIONAL),
    DownloadedDocument(
        url="http://example.com/a.pdf", final_url="http://example.com/a.pdf", sha256="0" * 64, size_bytes=1,
        content_type="application/pdf", provisional=PROVISIONAL,
    ),
    ExtractedDocument(url="http://example.com/a", sha256="0" * 64, provisional=PROVISIONAL, statements=(STATEMENT,)),
    FilingsResult.model_validate({"company": {"name": "Arden Mills plc"}}),
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_payloads_carry_their_version_and_survive_json(payload: BaseModel) -> None:
    assert payload.model_dump()["v"] == 1
    assert type(payload).model_validate_json(payload.model_dump_json()) == payload
    with pytest.raises(ValidationError):
        type(payload).model_validate({**payload.model_dump(), "v": 2})


def test_amounts_are_numbers_in_json_and_stay_exact() -> None:
    cell = Cell(value=Decimal("0.1"), text="0.1", page=1)
    assert cell.model_dump(mode="json")["value"] == 0.1
    assert Cell.model_validate_json(cell.model_dump_json()).value == Decimal("0.1")
    whole = Cell(value=Decimal(-48996), text="(48,996)", page=1).model_dump(mode="json")["value"]
    assert (whole, type(whole)) == (-48996, int)


def test_a_row_has_a_cell_for_every_period() -> None:
    with pytest.raises(ValidationError, match="1 cells under 2 periods"):
        Statement(kind="cash_flow", periods=STATEMENT.periods, rows=(Row(label="x", cells=(None,)),))
