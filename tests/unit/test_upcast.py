"""Payloads of every schema version: read, lifted, or refused with the reason."""

from pathlib import Path
from typing import Any, Literal

import orjson
import pytest
from pydantic import BaseModel, ConfigDict

from consumers.flow import installed
from schemas.upcast import UnreadablePayload, read_payload, upcaster

GOLDEN = Path(__file__).parent / "golden" / "payloads.json"
"""One entry's payload for each (flow, stage, version) that was ever written."""


class Page(BaseModel):
    """Version 3; 1 had no depth, 2 called the address `link`."""

    model_config = ConfigDict(extra="forbid")

    v: Literal[3] = 3
    url: str
    depth: int


@upcaster(Page, 1)
def _with_depth(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "depth": 0}


@upcaster(Page, 2)
def _with_url(old: dict[str, Any]) -> dict[str, Any]:
    return {"url": old["link"], "depth": old["depth"]}


@pytest.mark.parametrize(
    "data",
    [
        b'{"v":1,"link":"http://a/"}',
        b'{"v":2,"link":"http://a/","depth":0}',
        b'{"v":3,"url":"http://a/","depth":0}',
        b'{"url":"http://a/","depth":0}',
    ],
)
def test_every_version_reads_as_the_current_one(data: bytes) -> None:
    assert read_payload(Page, data) == Page(url="http://a/", depth=0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no_data"),
        (b"{", "bad_json"),
        (b"\xff", "bad_json"),
        (b"[1]", "bad_json"),
        (b"null", "bad_json"),
        (b'{"v":3,"url":"http://a/"}', "invalid_payload"),
        (b'{"v":2,"link":7,"depth":0}', "invalid_payload"),
        (b'{"v":4,"url":"http://a/","depth":0}', "unknown_schema_version"),
        (b'{"v":0,"url":"http://a/"}', "unknown_schema_version"),
        (b'{"v":"3","url":"http://a/","depth":0}', "unknown_schema_version"),
    ],
)
def test_what_no_version_reads_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadablePayload) as caught:
        read_payload(Page, data)
    assert caught.value.reason == reason


def test_the_reason_names_fields_and_shows_no_values() -> None:
    with pytest.raises(UnreadablePayload, match="depth") as caught:
        read_payload(Page, b'{"v":3,"url":"http://a/","depth":"secret-value"}')
    assert "secret-value" not in str(caught.value)


def test_golden_payloads_stay_readable() -> None:
    golden = orjson.loads(GOLDEN.read_bytes())
    flows = installed()
    read = set()
    for row in golden:
        stage = flows.get(row["flow"]).by_name[row["stage"]]
        read_payload(stage.accepts, orjson.dumps(row["data"]))
        read.add((row["flow"], row["stage"], row["data"]["v"]))
    current = {(flow.name, name, 1) for flow in flows.by_name.values() for name in flow.by_name}
    assert current <= read, "a new payload or version needs its golden entry"
