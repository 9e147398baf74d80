"""A result as files that a spreadsheet opens.

XLSX has a sheet a statement, with each value's origin as a note; CSV has a line a value.

Text from reports is never a formula: in XLSX it is stored as text, in CSV what begins like a formula gets an
apostrophe in front.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from consumers.filings.tidy import tidy

if TYPE_CHECKING:
    from schemas.filings import Frequency, StatementKind
    from schemas.filings_result import CompiledCell, CompiledStatement, FilingsResult

SHEETS: Final[dict[StatementKind, str]] = {
    "income_statement": "Income statement",
    "balance_sheet": "Balance sheet",
    "cash_flow": "Cash flow",
}
_FORMULA: Final = re.compile(r"^[\s]*[=+\-@]|^[\t\r\n|%]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MOST_TEXT: Final = 32_000
_OF: Final[dict[Frequency, str]] = {"annual": "", "quarterly": " quarterly", "year_to_date": " YTD"}
_SHEET_CHARS: Final = 31
_NOT_IN_SHEETS: Final = re.compile(r"[\[\]:*?/\\']")
_CORRECTED: Final = "FFF2CC"
"""The background of a cell that a person corrected."""


def csv_bytes(result: FilingsResult) -> bytes:
    """One line a value, newest period first, UTF-8 with a byte order mark so that spreadsheets know it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(
        ("statement", "section", "label", "level", "period_end", "value", "unit", "currency", "unit_multiplier",
         "restated", "document", "page", "company", "frequency", "printed_label", "printed_value", "corrected_by",
         "correction", "concept", "standard_value")
    )  # fmt: skip
    for one in tidy(result):
        printed = format(one.printed_value, "f") if one.printed_value is not None else ""
        writer.writerow(
            (one.statement, safe_text(one.section), safe_text(one.label), one.level, one.period_end.isoformat(),
             format(one.value, "f"), one.unit, one.currency, one.unit_multiplier, "yes" if one.restated else "no",
             safe_text(one.document), one.page, safe_text(one.company), one.frequency, safe_text(one.printed_label),
             printed, safe_text(one.corrected_by), safe_text(one.correction), one.concept,
             format(one.standard_value, "f"))
        )  # fmt: skip
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    text = _CONTROL.sub(" ", text)[:_MOST_TEXT]
    return f"'{text}" if _FORMULA.match(text) else text


def xlsx_bytes(result: FilingsResult) -> bytes:
    """A workbook: a sheet a statement with numbers as numbers, then restatements, documents and what is missing.

    Raises:
        ModuleNotFoundError: openpyxl is not installed; the text names the extra to install.
    """
    try:
        from openpyxl import Workbook  # noqa: PLC0415 - the base install goes without it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing XLSX needs openpyxl: pip install 'millrace[filings]'", name=error.name
        ) from error
    book = Workbook()
    book.remove(book.active)
    names: set[str] = set()
    for statement in result.statements:
        name = _sheet_name(statement, names)
        names.add(name.casefold())
        _statement_sheet(book.create_sheet(name), result, statement)
    _table_sheet(book.create_sheet("Restatements"), _restatement_rows(result))
    _table_sheet(book.create_sheet("Documents"), _document_rows(result))
    _table_sheet(
        book.create_sheet("Missing"),
        [["What", "Reason", "Address"], *([m.what, m.reason, m.url or ""] for m in result.missing)],
    )
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _sheet_name(statement: CompiledStatement, taken: set[str]) -> str:
    """As short as it is distinct: with its frequency, its company, its currency, at last a number."""
    name = SHEETS[statement.kind] + _OF[statement.frequency]
    for more in (statement.company, statement.currency, *map(str, range(2, len(taken) + 3))):
        if name.casefold() not in taken:
            break
        if more:
            told = f" {_NOT_IN_SHEETS.sub(' ', more)}"
            name = name[: _SHEET_CHARS - len(told[:12])] + told[:12]
    return name


def _statement_sheet(sheet: Any, result: FilingsResult, statement: CompiledStatement) -> None:
    company = statement.company or result.company.name or result.company.ticker or ""
    urls = {document.sha256: document.url for document in result.documents}
    unit = f"{statement.currency or 'currency unknown'}, in units of {statement.unit_multiplier:,}"
    _write(sheet, [company])
    _write(sheet, [f"{SHEETS[statement.kind]} ({unit})"])
    _write(sheet, ["", *statement.period_ends])
    for row in statement.rows:
        _write(sheet, [row.label, *(cell.value if cell else None for cell in row.cells)])
        sheet.cell(sheet.max_row, 1).alignment = _indent(row.level)
        for cell, compiled in zip(sheet[sheet.max_row][1:], row.cells, strict=False):
            cell.number_format = "#,##0.##;(#,##0.##);0" if _has_fraction(compiled) else "#,##0;(#,##0);0"
            if compiled is not None:
                _annotate(cell, compiled, urls.get(compiled.sha256, ""))
    sheet.column_dimensions["A"].width = 60
    for column in range(2, len(statement.period_ends) + 2):
        sheet.column_dimensions[sheet.cell(3, column).column_letter].width = 14
    sheet.freeze_panes = "B4"


def _has_fraction(cell: CompiledCell | None) -> bool:
    return cell is not None and cell.value != cell.value.to_integral_value()


def _annotate(cell: Any, compiled: CompiledCell, url: str) -> None:
    """Where a value comes from, as a note; what a person corrected also stands out."""
    from openpyxl.comments import Comment  # noqa: PLC0415 - the caller has imported openpyxl
    from openpyxl.styles import PatternFill  # noqa: PLC0415 - as above

    lines = [f"{compiled.label or 'printed'}, page {compiled.page}", url, f"SHA-256 {compiled.sha256}"]
    if compiled.box is not None:
        lines.append("box " + ", ".join(f"{edge:.1f}" for edge in compiled.box) + " pt")
    if compiled.restated:
        lines.append("restated: an earlier filing printed another value")
    said = compiled.correction
    if said is not None:
        printed = "nothing" if said.printed is None else f"{said.printed:,}"
        lines.insert(0, f"Corrected by {said.by} on {said.at:%Y-%m-%d}: {said.reason} (printed: {printed})")
        cell.fill = PatternFill("solid", fgColor=_CORRECTED)
    note = Comment(_CONTROL.sub(" ", "\n".join(line for line in lines if line))[:_MOST_TEXT], "Millrace")
    note.width, note.height = 420, 110
    cell.comment = note


def _indent(level: int) -> Any:
    from openpyxl.styles import Alignment  # noqa: PLC0415 - the caller has imported openpyxl

    return Alignment(indent=min(level, 10))


def _table_sheet(sheet: Any, rows: list[list[Any]]) -> None:
    for row in rows:
        _write(sheet, row)


def _write(sheet: Any, values: list[Any]) -> None:
    """Append a row; text is stored as text whatever it begins with, decimals as numbers."""
    number = sheet.max_row + 1 if sheet.max_row > 1 or sheet.cell(1, 1).value is not None else 1
    for column, value in enumerate(values, start=1):
        cell = sheet.cell(number, column)
        if isinstance(value, Decimal):
            cell.value = int(value) if value == value.to_integral_value() else float(value)
        elif isinstance(value, str):
            text = _CONTROL.sub(" ", value)[:_MOST_TEXT]
            cell.value = text
            cell.data_type = "s"
            cell.quotePrefix = _FORMULA.match(text) is not None
        else:
            cell.value = value


def _restatement_rows(result: FilingsResult) -> list[list[Any]]:
    urls = {document.sha256: document.url for document in result.documents}
    rows: list[list[Any]] = [["Statement", "Line", "Period end", "First reported", "Restated", "Restated by"]]
    for found in result.restatements:
        rows += [
            [
                SHEETS[found.statement],
                found.label,
                found.period_end,
                found.first.value,
                change.value,
                urls.get(change.sha256, ""),
            ]
            for change in found.changes
        ]
    return rows


def _document_rows(result: FilingsResult) -> list[list[Any]]:
    rows: list[list[Any]] = [
        ["Address", "Type", "Confidence", "Fiscal year", "Period end", "Pages", "SHA-256", "Problems"]
    ]
    for document in result.documents:
        kind = document.confirmed or document.provisional
        problems = "; ".join(problem.reason for problem in document.problems)
        rows.append(
            [document.url, kind.document_type, kind.confidence, kind.fiscal_year, document.period_end,
             document.page_count, document.sha256, problems]
        )  # fmt: skip
    return rows
