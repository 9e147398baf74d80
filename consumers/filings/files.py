"""The files that a result is written as: one list for artifacts, routes and the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from consumers.filings.export import csv_bytes, xlsx_bytes
from consumers.filings.export_parquet import parquet_bytes
from schemas.filings_result import FilingsResult
from streams.errors import PermanentError

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV: Final = "text/csv"
PARQUET: Final = "application/vnd.apache.parquet"
JSON: Final = "application/json"


def workbook(result: FilingsResult) -> bytes:
    """The XLSX; runs in a subprocess.

    Raises:
        PermanentError: ``missing_extra``: openpyxl is not installed.
    """
    try:
        return xlsx_bytes(result)
    except ModuleNotFoundError as error:
        raise PermanentError(str(error), reason="missing_extra") from error


def table(result: FilingsResult) -> bytes:
    """The Parquet; runs in a subprocess.

    Raises:
        PermanentError: ``missing_extra``: pyarrow is not installed.
    """
    try:
        return parquet_bytes(result)
    except ModuleNotFoundError as error:
        raise PermanentError(str(error), reason="missing_extra") from error


def json_text(result: FilingsResult) -> bytes:
    """The result as indented JSON."""
    return orjson.dumps(result.model_dump(mode="json"), option=orjson.OPT_INDENT_2)


FORMATS: Final[dict[str, tuple[str, Callable[[FilingsResult], bytes]]]] = {
    "json": (JSON, json_text),
    "csv": (CSV, csv_bytes),
    "xlsx": (XLSX, workbook),
    "parquet": (PARQUET, table),
}
"""Format -> media type, and what writes it; each can run in a subprocess."""

FILES: Final = {f"statements.{name}": FORMATS[name] for name in ("xlsx", "csv", "parquet")}
"""What a job leaves beside its result."""
