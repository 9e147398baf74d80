"""The scripts of `streams.held`: their contract in the header, and that no write is without the fence."""

from __future__ import annotations

import re

import pytest

from streams.held import SCRIPTS, channel_script, dead_letters_of


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_states_its_contract_and_asks_for_the_lease_before_it_writes(name: str) -> None:
    source = channel_script(name).source
    assert source.startswith("#!lua flags=allow-oom\n")
    body = source[source.index(f"-- {name}: ") :]
    assert [line[3:9].rstrip() for line in body.splitlines() if re.match(r"-- [A-Z]+ ", line)] == [
        "KEYS", "ARGV", "RETURN"
    ]  # fmt: skip
    writes = [body.index(command) for command in ("XCLAIM", "XACK", "XADD") if command in body]
    assert body.index("if not holds(" if "if not holds(" in body else "if holds(") < min(writes)


@pytest.mark.parametrize(("stream", "dead"), [("orders", "{orders}:dlq"), ("a:{3}:orders", "a:{3}:orders:dlq")])
def test_dead_letters_are_in_the_streams_own_slot(stream: str, dead: str) -> None:
    assert dead_letters_of(stream) == dead
