"""Issues and pages as CSV and XLSX. Text from a site is never a formula; see `consumers.filings.export.safe_text`."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from consumers.filings.export import safe_text
from streams.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

CSV: Final = "text/csv; charset=utf-8"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_XLSX_ROWS: Final = 1_000_000
"""A sheet has 1,048,576."""

_FLUSH_CHARS: Final = 64 * 1024


async def csv_pieces(head: Sequence[str], rows: AsyncIterator[Sequence[Any]]) -> AsyncIterator[bytes]:
    """A CSV as it is written, with flat memory; UTF-8 with a byte order mark so that spreadsheets know it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(head)
    yield b"\xef\xbb\xbf"
    async for row in rows:
        writer.writerow([safe_text(cell) if isinstance(cell, str) else cell for cell in row])
        if out.tell() > _FLUSH_CHARS:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


async def xlsx_bytes(title: str, head: Sequence[str], rows: AsyncIterator[Sequence[Any]]) -> bytes:
    """A workbook of one sheet, its rows written as they come.

    Raises:
        PermanentError: ``missing_extra``: openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook  # noqa: PLC0415 - an extra, and slow to import
        from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - as above
    except ImportError as error:
        raise PermanentError(
            "workbooks need the extra `audit`, which is not installed: pip install -e '.[audit]'; CSV needs nothing",
            reason="missing_extra",
        ) from error
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    sheet.append(list(head))
    written = 0
    async for row in rows:
        cells = []
        for value in row:
            if isinstance(value, str):
                # As text, whatever it begins with.
                cell = WriteOnlyCell(sheet, value=safe_text(value))
                cell.data_type = "s"
                cells.append(cell)
            else:
                cells.append(value)
        sheet.append(cells)
        written += 1
        if written == MAX_XLSX_ROWS:
            break
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
