"""Files that nobody should send, read as the worker reads them: in a subprocess with a memory cap."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from consumers.cpu.pool import CpuPool
from consumers.documents.errors import DocumentRefused
from consumers.documents.work import read_and_cut
from tests.support.office_files import docx_file, with_parts, xlsx_file, zip_of

MEMORY_MB = 512
"""A third of what the stage has: `read_and_cut` itself takes some 150 MB."""

SHEET = "xl/worksheets/sheet1.xml"
LAUGHS = b"<!DOCTYPE x [<!ENTITY a0 'ha'>%s]><x>&a9;</x>" % b"".join(
    b"<!ENTITY a%d '%s'>" % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 10)
)


def many_pages(count: int) -> bytes:
    """A PDF of so many pages, all with the same words; its table of objects is left for the reader to make."""
    words = b"BT /F1 12 Tf 72 720 Td (The wheel turns eastward all the year) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, b" ".join(b"%d 0 R" % (5 + at) for at in range(count))),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(words), words),
        *[
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 3 0 R>>>>>>"
            for _ in range(count)
        ],
    ]
    body = b"".join(b"%d 0 obj%s\nendobj\n" % (number, one) for number, one in enumerate(objects, 1))
    return b"%%PDF-1.4\n%strailer<</Root 1 0 R/Size %d>>\nstartxref\n0\n%%%%EOF" % (body, len(objects) + 1)


def sheet(rows: bytes, claims: int) -> bytes:
    """A workbook whose only sheet claims so many rows and has these."""
    xml = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b'<dimension ref="A1:B%d"/><sheetData>%s</sheetData></worksheet>' % (claims, rows)
    )
    return with_parts(xlsx_file(), {SHEET: xml})


def dense_sheet() -> bytes:
    """120,000 rows of which each has its own number, so that it is no bomb by its density."""
    rows = b"".join(b'<row r="%d"><c r="A%d"><v>%d</v></c></row>' % (n, n, n * 7_919) for n in range(1, 120_001))
    return sheet(rows, 120_000)


def nested() -> bytes:
    """An archive in an archive in an archive, the innermost as large as it can be."""
    inner = zip_of({"zeros": bytes(50_000_000)})
    for _ in range(3):
        inner = zip_of({"inner.zip": inner})
    return inner


def bomb() -> bytes:
    """A Word file with a part that unpacks to a thousand times its size."""
    return with_parts(docx_file(), {"word/media/zeros.bin": bytes(30_000_000)})


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[CpuPool]:
    async with CpuPool(1) as opened:
        yield opened


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(bomb, "zip_bomb", id="zip bomb"),
        pytest.param(nested, "archive", id="nested archive"),
        pytest.param(lambda: with_parts(docx_file(), {"word/vbaProject.bin": b"\xd0\xcf"}), "macros", id="macro"),
        pytest.param(
            lambda: with_parts(docx_file(), {"word/document.xml": LAUGHS}), "xml_entities", id="a billion laughs"
        ),
        pytest.param(lambda: with_parts(xlsx_file(), {SHEET: LAUGHS}), "xml_entities", id="XML entity in a sheet"),
    ],
)
async def test_it_is_refused_with_the_reason(pool: CpuPool, made: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        await pool.run(read_and_cut, made(), "hostile", 4_000, 400, 2_000, timeout_s=60, memory_mb=MEMORY_MB)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("made", "cut"),
    [
        pytest.param(lambda: many_pages(5_000), "only the first 2,000 of 5,000 pages were read", id="5,000 pages"),
        pytest.param(
            lambda: sheet(b'<row r="1000000000"><c r="A1000000000"><v>1</v></c></row>', 1_000_000_000), "rows",
            id="billion-row sheet",
        ),
        pytest.param(dense_sheet, "only the first 100,000 rows", id="120,000 rows"),
    ],
)  # fmt: skip
async def test_it_is_cut_with_the_reason(pool: CpuPool, made: Callable[[], bytes], cut: str) -> None:
    read = await pool.run(read_and_cut, made(), "long", 4_000, 400, 2_000, timeout_s=60, memory_mb=MEMORY_MB)
    assert cut in " ".join(read.cut)
