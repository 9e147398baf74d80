"""What commands print: plain JSON for programs, tables and hints for people."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from schemas.memo import MemoView

PROGRAM: Final = "./millrace"
PIPED_COLUMNS: Final = 160
"""Width of tables that no terminal shows."""

Json = Annotated[bool, typer.Option("--json", help="Print plain JSON instead.", rich_help_panel="Output")]

STATUS_STYLES: Final[Mapping[str, str]] = {
    "queued": "bright_black",
    "running": "cyan",
    "retrying": "yellow",
    "succeeded": "green",
    "partial": "yellow",
    "failed": "red",
    "cancelled": "magenta",
    "expired": "magenta",
}


def console(*, stderr: bool = False) -> Console:
    """The console on standard output, or error: always the same, so that a live line stays below what is printed."""
    stream = sys.stderr if stderr else sys.stdout
    return _console(getattr(stream, "rich_proxied_file", stream))


@lru_cache(maxsize=4)
def _console(stream: TextIO) -> Console:
    has_width = stream.isatty() or "COLUMNS" in os.environ
    return Console(file=stream, width=None if has_width else PIPED_COLUMNS, highlight=False, emoji=False)


def print_json(document: object) -> None:
    """One document on one line; instants as ISO 8601."""
    sys.stdout.write(orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A table without frames.

    Args:
        columns: Headings.
        rows: Text, `rich` text, or anything that has a `str`; None is empty.
        right: Columns that are set flush right.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else "" if cell is None else str(cell) for cell in row))
    console().print(table)


def next_step(*hints: tuple[str, str]) -> None:
    """What to do now.

    Args:
        hints: A command without the program's name, and what it does.
    """
    width = max(len(command) for command, _ in hints)
    console().print()
    for command, does in hints:
        console().print(
            Text.assemble(
                "  ", (f"{PROGRAM} {command}".ljust(width + len(PROGRAM) + 3), "bold"), (does, "bright_black")
            ),
            soft_wrap=True,
        )


def say(text: str, style: str = "") -> None:
    """A line on standard output; nothing in it is taken for markup."""
    console().print(Text(text, style), soft_wrap=True)


def complain(text: str) -> None:
    """An error, on standard error."""
    console(stderr=True).print(Text.assemble(("millrace: ", "bold red"), text), soft_wrap=True)


def warn(text: str, *, stderr: bool = True) -> None:
    """A thing to know, on standard error unless a live line is shown."""
    console(stderr=stderr).print(Text.assemble(("note: ", "yellow"), text), soft_wrap=True)


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, STATUS_STYLES.get(status, ""))


def instant_text(instant: datetime | None) -> str:
    """A local time to the second."""
    return "" if instant is None else instant.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def took_text(began: datetime | None, ended: datetime | None) -> str:
    """How long something took, or takes."""
    if began is None:
        return ""
    seconds = ((ended or datetime.now(UTC)) - began).total_seconds()
    return duration_text(max(0.0, seconds))


def memo_text(memo: "MemoView | None") -> str | None:
    """What the memo saved, for people; None when it saved nothing."""
    if memo is None or not memo.reused:
        return None
    return f"{memo.reused} of {memo.reused + memo.computed} results, {duration_text(memo.saved_s)} saved"


def duration_text(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def bytes_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 - a kibibyte
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def path_text(path: Path) -> str:
    """A path as a person would type it."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown


def first_line(text: Any, most: int = 200) -> str:
    """The first line of a text, cut."""
    line = str(text or "").strip().partition("\n")[0]
    return line if len(line) <= most else line[: most - 1] + "…"
