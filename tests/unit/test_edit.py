"""Editing payloads, filters and what people type; without servers."""

from __future__ import annotations

import time

import orjson
import pytest

from api.cli.root import Usage
from api.cli.typed import instant_ms, json_or_file
from consumers.edit import _merged
from streams.advice import advice
from streams.codec import host_of
from streams.dlq import LetterFilter
from streams.log import DeadLetter


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_cases_of_rfc_7396(target: object, patch: object, result: object) -> None:
    assert _merged(target, patch) == result


@pytest.mark.parametrize(
    ("payload", "host"),
    [
        ({"url": "https://Example.COM:8443/a?b"}, "example.com"),
        ({"site": "http://a.example./"}, "a.example"),
        ({"urls": ["http://b.example/", "http://c.example/"]}, "b.example"),
        ({"url": "", "site": "http://d.example"}, "d.example"),
        ({"v": 1, "$claim": "00", "host": "e.example"}, "e.example"),
        ({"v": 1, "$claim": "00"}, ""),
        ({"url": "http://[::1"}, ""),
        ({"url": 7, "urls": "http://x/"}, ""),
        (["http://a.example/"], ""),
    ],
)
def test_the_host_that_a_payload_is_about(payload: object, host: str) -> None:
    assert host_of(orjson.dumps(payload)) == host


def test_what_is_no_json_is_about_no_host() -> None:
    assert host_of(b"{") == ""


@pytest.mark.parametrize(
    ("chosen", "is_meant"),
    [
        (LetterFilter(), True),
        (LetterFilter(stage="extract", flow="f", reason="http_503", job="0-a", tenant="acme"), True),
        (LetterFilter(stage="crawl"), False),
        (LetterFilter(reason="http_50"), False),
        (LetterFilter(tenant="other"), False),
        (LetterFilter(host="A.example"), True),
        (LetterFilter(host="b.example"), False),
        (LetterFilter(quarantined=True), True),
        (LetterFilter(quarantined=False), False),
    ],
)
def test_a_filter_takes_what_fits_all_of_it(chosen: LetterFilter, is_meant: bool) -> None:  # noqa: FBT001
    fields = {"stage": "extract", "flow": "f", "reason": "http_503", "job": "0-a", "redriven": "3"}
    letter = DeadLetter("0-5-1", {**fields, "data": '{"url": "http://a.example/"}'})
    assert chosen.takes(letter, "acme", 3) is is_meant


def test_strays_are_nobodys() -> None:
    stray = DeadLetter("0-5-1", {"job": "", "reason": "bad_json"})
    assert LetterFilter(tenant="acme").takes(stray, "", 5)
    assert not LetterFilter(tenant="acme", with_strays=False).takes(stray, "", 5)


def test_every_reason_has_an_advice() -> None:
    assert "MILLRACE_ALLOW_HOSTS" in advice("blocked_address", 0, 5)
    assert "site failed" in advice("http_502", 0, 5)
    assert "--force" in advice("http_502", 5, 5)
    assert "traceback" in advice("KeyError", 4, 5)


def test_times_as_people_type_them() -> None:
    assert abs(instant_ms("--since", "2h") - (time.time() - 7_200) * 1_000) < 1_000
    assert instant_ms("--since", "2030-01-31T08:00:00Z") == instant_ms("--since", "2030-01-31T09:00:00+01:00")
    assert instant_ms("--since", None) == 0
    for wrong in ("yesterday", "2 h", "-3d"):
        with pytest.raises(Usage, match="--since"):
            instant_ms("--since", wrong)
    for wrong in ("{", "@/does/not/exist"):
        with pytest.raises(Usage, match="--merge"):
            json_or_file("--merge", wrong)
