"""Text, Markdown and CSV in any encoding."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from consumers.documents.limits import ReadLimits
from consumers.documents.readers.office import ROWS_A_BLOCK
from consumers.documents.text import Block, DocumentText, TextBuilder, table_text

SAMPLE_CHARS: Final = 16_384
_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_HEADING: Final = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
_UNDERLINE: Final = re.compile(r"^(=+|-+)\s*$")
_FENCE: Final = re.compile(r"^(```|~~~)")
_DELIMITERS: Final = ",;\t|"


def decode(data: bytes) -> str:
    """Bytes as text: by byte order mark, as UTF-8, else by what their letters look like; never fails."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").removeprefix("\ufeff")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # noqa: PLC0415 - an extra

        best = from_bytes(data[:262_144]).best()
        return data.decode(best.encoding if best is not None else "windows-1252", errors="replace")


def read_text(data: bytes, limits: ReadLimits) -> DocumentText:
    """Paragraphs, set apart by empty lines; a form feed begins a page."""
    builder = TextBuilder(limits.max_chars)
    pages = decode(data).replace("\r\n", "\n").replace("\r", "\n").split("\f")
    is_paged = len(pages) > 1
    for number, page in enumerate(pages, 1):
        builder.add_all(Block(part, page=number if is_paged else None) for part in re.split(r"\n\s*\n", page))
    return builder.done(page_count=len(pages) if is_paged else None)


def read_markdown(data: bytes, limits: ReadLimits) -> DocumentText:
    """As written, with its headings known."""
    builder = TextBuilder(limits.max_chars)
    builder.add_all(_markdown_blocks(decode(data).splitlines()))
    return builder.done()


def _markdown_blocks(lines: list[str]) -> Iterator[Block]:
    kept: list[str] = []
    is_code = False
    for line in lines:
        if _FENCE.match(line):
            is_code = not is_code
        heading = None if is_code else _HEADING.match(line)
        if heading:
            yield Block("\n".join(kept))
            kept = []
            yield Block(heading[2], "heading", level=len(heading[1]))
        elif (
            not is_code
            and _UNDERLINE.match(line)
            and kept
            and kept[-1].strip()
            and (len(kept) == 1 or not kept[-2].strip())
        ):
            title = kept.pop()
            yield Block("\n".join(kept))
            kept = []
            yield Block(title, "heading", level=1 if line.startswith("=") else 2)
        else:
            kept.append(line)
    yield Block("\n".join(kept))


def read_csv(data: bytes, limits: ReadLimits) -> DocumentText:
    """Rows with the cells set apart by `` | ``."""
    text = decode(data)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:SAMPLE_CHARS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    builder = TextBuilder(limits.max_chars)
    rows: list[list[str]] = []
    try:
        for count, row in enumerate(csv.reader(io.StringIO(text), dialect), 1):
            if count > limits.max_rows:
                builder.cut.append(f"only the first {limits.max_rows:,} rows were read")
                break
            rows.append(row)
            if len(rows) == ROWS_A_BLOCK:
                if not builder.add(Block(table_text(rows), "table")):
                    return builder.done()
                rows = []
    except csv.Error as error:
        builder.cut.append(f"the rows after row {len(rows)} could not be read: {error}")
    builder.add(Block(table_text(rows), "table"))
    return builder.done()
