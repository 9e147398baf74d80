"""Small wrong changes to the scripts, made by rule from their text: the model test must notice every one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streams import scripts
from tests.integration.model.server import lua_file

SWAPS: Final = (
    (" == ", " ~= "), (" ~= ", " == "), (" > ", " <= "), (" <= ", " > "), (" >= ", " < "), (" < ", " >= "),
    (" and ", " or "), (" or ", " and "), ("not ", ""), (", -1)", ", 1)"), (", 1)", ", -1)"), (" + 1", " - 1"),
    (" - 1", " + 1"),
)  # fmt: skip
"""Each occurrence alone is one mutant."""

STATEMENT: Final = re.compile(r"\s*(redis\.call|[a-z_]+)\(.*\)( -- .*)?")
GUARD: Final = re.compile(r"\s*if .* then .* end")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed line of one file. `line` counts from 1."""

    file: str
    line: int
    before: str
    after: str

    @property
    def source(self) -> str:
        """The file's whole text with the change."""
        lines = lua_file(self.file).split("\n")
        lines[self.line - 1] = self.after
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.before.strip()}  ->  {self.after.strip() or '(dropped)'}"


def files() -> list[str]:
    """Every script and fragment but the clock, which the test replaces."""
    return [*scripts.MOVES, *(f"lib/{part}" for part in scripts.FRAGMENTS if part != "clock")]


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    return [
        Mutant(file, number, line, after)
        for number, line in enumerate(lua_file(file).split("\n"), 1)
        if line.strip() and not line.lstrip().startswith(("--", "#!"))
        for after in _changed(line)
    ]


def _changed(line: str) -> Iterator[str]:
    if (STATEMENT.fullmatch(line) and line.count("(") == line.count(")")) or GUARD.fullmatch(line):
        yield ""
    code = line.partition(" -- ")[0]
    for old, new in SWAPS:
        at = code.find(old)
        while at >= 0:
            yield line[:at] + new + line[at + len(old) :]
            at = code.find(old, at + 1)
