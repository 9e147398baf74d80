"""The scripts as files: their contract in the header, their codes, and that none changes unnoticed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import orjson
import pytest

from streams import scripts
from streams.scripts import FRAGMENTS, MOVES, Code, script

LUA: Final = Path(scripts.__file__).parent / "lua"
GOLDEN: Final = Path(__file__).parent / "golden" / "scripts.json"
REFUSED_WHEN_OUT_OF_MEMORY: Final = {"submit", "adopt", "promote", "redrive", "replay"}


def text(name: str) -> str:
    return (LUA / f"{name}.lua").read_text(encoding="utf-8")


def code(name: str) -> str:
    """A file without its comments."""
    return "\n".join(line.partition("--")[0] for line in text(name).splitlines())


def test_every_file_is_a_move_or_a_fragment() -> None:
    assert {path.stem for path in LUA.glob("*.lua")} == set(MOVES)
    assert {path.stem for path in (LUA / "lib").glob("*.lua")} == set(FRAGMENTS)


@pytest.mark.parametrize("move", MOVES)
def test_a_script_states_its_contract(move: str) -> None:
    shebang, title, *rest = text(move).splitlines()
    assert shebang == ("#!lua" if move in REFUSED_WHEN_OUT_OF_MEMORY else "#!lua flags=allow-oom")
    assert re.fullmatch(rf"-- {move}: .+", title)
    header = []
    for line in rest:
        if not line.startswith("--"):
            break
        header.append(line)
    starts = [line[3:10].rstrip() for line in header if re.match(r"-- [A-Z]+ ", line)]
    assert starts == ["KEYS", "ARGV", "RETURN"]


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_says_what_it_is_for(fragment: str) -> None:
    assert text(f"lib/{fragment}").startswith(f"-- {fragment}: ")


def test_a_fragment_uses_only_those_before_it() -> None:
    defined: set[str] = set()
    all_names = {
        name for part in FRAGMENTS for name in re.findall(r"^local function (\w+)", code(f"lib/{part}"), re.MULTILINE)
    }
    for part in FRAGMENTS:
        source = code(f"lib/{part}")
        defined |= set(re.findall(r"^local function (\w+)", source, re.MULTILINE))
        assert set(re.findall(r"\b(\w+)\(", source)) & all_names <= defined, part


def test_time_is_read_in_one_place() -> None:
    names = [*MOVES, *(f"lib/{part}" for part in FRAGMENTS)]
    assert [name for name in names if "'TIME'" in code(name)] == ["lib/clock"]


@pytest.mark.parametrize("move", MOVES)
def test_nothing_unbounded_is_called(move: str) -> None:
    joined = script(move).source
    for command in ("KEYS", "SCAN", "HGETALL", "SMEMBERS", "HKEYS", "FLUSHDB"):
        assert f"call('{command}'" not in joined


def test_the_codes_are_those_of_the_enum() -> None:
    known: dict[str, int] = {}
    for names, values in re.findall(r"^local ([A-Z_, ]+) = (-?\d+(?:, -?\d+)*)$", text("lib/args"), re.MULTILINE):
        known |= dict(zip(names.split(", "), map(int, values.split(", ")), strict=True))
    assert known == {member.name: member.value for member in Code}


def test_an_unknown_move_is_an_error() -> None:
    with pytest.raises(KeyError):
        script("explode")


def test_no_script_changes_unnoticed() -> None:
    """A changed script needs its model test, its header and its version looked at; then accept the new digests."""
    digests = {move: script(move).sha for move in MOVES}
    if os.environ.get("MILLRACE_ACCEPT_SCRIPTS"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_bytes(orjson.dumps(digests, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    accepted = orjson.loads(GOLDEN.read_bytes())
    changed = sorted(move for move in MOVES if accepted.get(move) != digests[move])
    assert not changed, f"{changed} changed; see that the model test covers it, then run with MILLRACE_ACCEPT_SCRIPTS=1"
