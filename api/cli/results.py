"""Results for people: statements and audits as tables, anything else as indented JSON; and as files."""

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.cli.root import Usage
from api.cli.screen import console, print_table, say
from schemas.filings_handled import DocumentsResult
from schemas.filings_result import CompiledCell, CompiledRow, CompiledStatement, FilingsResult

TITLES = {"income_statement": "Income statement", "balance_sheet": "Balance sheet", "cash_flow": "Cash flow"}
RESTATED = "*"
DATE_COLUMNS = 12
LEAST_LABEL = 24


def print_result(flow: str, payload: Any, *, brief: bool = False) -> None:
    """Print a result.

    Args:
        flow: Whose.
        payload: As stored.
        brief: The first statement only, or nothing when there is no short form.
    """
    if flow == "filings" and "statements" not in payload:
        _print_documents(DocumentsResult.model_validate(payload))
    elif flow == "filings":
        found = FilingsResult.model_validate(payload)
        for part in filings_parts(found, kinds=1 if brief else 3):
            console().print(part)
    elif flow == "audit":
        from api.cli.audit_results import audit_parts
        from schemas.audit_result import AuditResult

        for part in audit_parts(AuditResult.model_validate(payload), brief=brief):
            console().print(part)
    elif not brief:
        say(orjson.dumps(payload, option=orjson.OPT_INDENT_2).decode())


def _print_documents(found: DocumentsResult) -> None:
    """What a job that ended before compile did with each document."""
    say(f"{found.discovered_count} documents found, {found.created_count} new, {found.downloaded_count} downloaded.")
    print_table(
        ("document", "type", "year", "file", "url"),
        [(one.document_id, one.document_type, one.fiscal_year, one.file_path, one.url) for one in found.documents],
    )


def save_result(flow: str, payload: Any, folder: str | Path, name: str, form: str | None = None) -> list[Path]:
    """Write a result as files, all of its forms or one; answers their paths.

    Raises:
        OSError: The folder cannot be written.
        Usage: The flow's result has no such form.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for one in _forms(flow, payload, form):
        path = target / f"{name}.{one}"
        path.write_bytes(_bytes(flow, payload, one))
        paths.append(path)
    return paths


def write_result(flow: str, payload: Any, form: str) -> None:
    """Write a result to standard output, as a file.

    Raises:
        Usage: The flow's result has no such form, or it would go to a terminal that cannot show it.
    """
    (one,) = _forms(flow, payload, form)
    if one in {"xlsx", "parquet"} and sys.stdout.isatty():
        raise Usage(f"a terminal cannot show {one}: send it to a file with `> statements.{one}`, or use --save FOLDER")
    sys.stdout.buffer.write(_bytes(flow, payload, one))
    sys.stdout.buffer.flush()


def _forms(flow: str, payload: Any, form: str | None) -> list[str]:
    has_statements = flow == "filings" and "statements" in payload
    forms = ["xlsx", "csv", "parquet", "json"] if has_statements else ["json"]
    if form is None:
        return forms
    if form not in forms:
        raise Usage(f"this result of {flow} has no form {form}, only {', '.join(forms)}")
    return [form]


def _bytes(flow: str, payload: Any, form: str) -> bytes:
    if flow != "filings" or form == "json":
        return orjson.dumps(payload, option=orjson.OPT_INDENT_2)
    from consumers.filings.files import FORMATS

    return FORMATS[form][1](FilingsResult.model_validate(payload))


def filings_parts(result: FilingsResult, *, kinds: int = 3) -> list[RenderableType]:
    """The statements as tables, then what was restated and what is missing."""
    company = result.company.name or result.company.ticker or "The company"
    parts: list[RenderableType] = []
    if result.news:
        parts += [Text(), *(Text(line, "green") for line in result.news.lines[:20])]
    for statement in result.statements[:kinds]:
        parts += [Text(), statement_table(company, statement, console().width)]
    if not result.statements:
        parts.append(Text("No statement could be read.", "yellow"))
    marked = [statement for statement in result.statements[:kinds] if _is_restated(statement)]
    if marked:
        parts.append(_restatements(result, {statement.kind for statement in marked}))
    if result.missing:
        lines = [Text(f"Missing: {one.what}: {one.reason}", "yellow") for one in result.missing[:10]]
        if len(result.missing) > len(lines):
            lines.append(Text(f"… and {len(result.missing) - len(lines)} more", "yellow"))
        parts += [Text(), *lines]
    return parts


def statement_table(company: str, statement: CompiledStatement, width: int) -> RenderableType:
    """A statement over the years, newest first, as many as fit; restated values are marked.

    Args:
        company: Its name.
        statement: What was compiled.
        width: Columns there are.
    """
    title = Text.assemble((f"{company} · {TITLES[statement.kind]}", "bold"), ("  " + _unit(statement), "bright_black"))
    cells = [[_cell(cell, row) for cell in row.cells] for row in statement.rows]
    column = 2 + max([DATE_COLUMNS, *(len(cell) for row in cells for cell in row)])
    shown = max(1, min(len(statement.period_ends), (width - LEAST_LABEL) // column))
    table = Table(box=None, padding=(0, 0, 0, 2), pad_edge=False, header_style="bold")
    table.add_column("", max_width=min(64, width - shown * column), overflow="ellipsis", no_wrap=True)
    for end in statement.period_ends[:shown]:
        table.add_column(end.strftime("%d %b %Y "), justify="right", no_wrap=True, min_width=column - 2)
    section = ""
    for row, values in zip(statement.rows, cells, strict=True):
        if row.section and row.section != section:
            section = row.section
            table.add_row(Text(section, "bright_black italic"))
        style = "bold" if _is_total(row) else ""
        table.add_row(Text("  " * min(row.level, 4) + (row.label or "-")), *values[:shown], style=style)
    parts: list[RenderableType] = [title, table]
    if shown < len(statement.period_ends):
        parts.append(Text(f"… and {len(statement.period_ends) - shown} earlier years, in the files", "bright_black"))
    return Group(*parts)


def _cell(cell: CompiledCell | None, row: CompiledRow) -> Text:
    if cell is None:
        return Text("")
    number = _number(cell.value, places=2 if row.unit == "per_share" else 0)
    text = number if cell.value < 0 else f"{number} "
    if cell.restated:
        return Text.assemble((text, "yellow"), (RESTATED, "bold yellow"))
    return Text(f"{text} ")


def _number(value: Decimal, *, places: int = 0) -> str:
    """As reports print it: negative ones in parentheses."""
    text = f"{abs(value):,.{places}f}" if places else f"{abs(value):,}"
    return f"({text})" if value < 0 else text


def _restatements(result: FilingsResult, kinds: set[Any]) -> RenderableType:
    lines = [
        Text(
            f"{RESTATED} {one.label}, {one.period_end:%d %b %Y}: first reported as {_number(one.first.value)}, "
            f"restated to {_number(one.changes[-1].value)}",
            "yellow",
        )
        for one in result.restatements
        if one.statement in kinds
    ]
    return Group(*lines[:10], *([Text(f"… and {len(lines) - 10} more", "yellow")] if len(lines) > 10 else []))  # noqa: PLR2004


def _is_restated(statement: CompiledStatement) -> bool:
    return any(cell is not None and cell.restated for row in statement.rows for cell in row.cells)


def _is_total(row: CompiledRow) -> bool:
    words = row.label.lower()
    return words.startswith(("total", "net ", "gross profit", "operating profit", "profit for", "revenue"))


def _unit(statement: CompiledStatement) -> str:
    scale = {1: "", 1_000: "thousands", 1_000_000: "millions", 1_000_000_000: "billions"}.get(
        statement.unit_multiplier, f"units of {statement.unit_multiplier:,}"
    )
    return " ".join(part for part in (statement.currency or "", scale) if part)
