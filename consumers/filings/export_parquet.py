"""A result as one tidy table in Parquet, for data frames: amounts are exact decimals, dates are dates."""

from __future__ import annotations

import io
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from consumers.filings.tidy import tidy

if TYPE_CHECKING:
    from schemas.filings_result import FilingsResult

DIGITS: Final = (38, 6)
"""Of amounts: in all, and behind the point."""


def parquet_bytes(result: FilingsResult) -> bytes:
    """The table; a result without values makes one without rows.

    Columns are those of `consumers.filings.tidy.TidyValue`, the box as four numbers, and ``amount``: the value in
    whole units of the currency.

    Raises:
        ModuleNotFoundError: pyarrow is not installed; the text names the extra to install.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - the base install goes without it
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing Parquet needs pyarrow: pip install 'millrace[filings]'", name=error.name
        ) from error
    number, text = pa.decimal128(*DIGITS), pa.string()
    kinds: dict[str, Any] = {
        "company": text, "statement": text, "frequency": text, "section": text, "label": text, "key": text,
        "level": pa.int16(), "period_end": pa.date32(), "value": number, "amount": number, "unit": text,
        "currency": text, "unit_multiplier": pa.int64(), "restated": pa.bool_(), "document": text,
        "page": pa.int32(), "sha256": text, "printed_label": text, "left": pa.float64(), "bottom": pa.float64(),
        "right": pa.float64(), "top": pa.float64(), "printed_value": number, "corrected_by": text,
        "correction": text, "concept": text, "standard_value": number,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    for one in tidy(result):
        row = asdict(one)
        box = row.pop("box") or (None, None, None, None)
        row |= dict(zip(("left", "bottom", "right", "top"), box, strict=True))
        row["amount"] = one.value * one.unit_multiplier
        for name in ("value", "amount", "printed_value", "standard_value"):
            row[name] = _fitting(row[name])
        rows.append(row)
    made = pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items())))
    out = io.BytesIO()
    pq.write_table(made, out, compression="zstd")
    return out.getvalue()


def _fitting(value: Decimal | None) -> Decimal | None:
    """A value with the digits behind the point that the column has."""
    return None if value is None else value.quantize(Decimal(1).scaleb(-DIGITS[1]))
