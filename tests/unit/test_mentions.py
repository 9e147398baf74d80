"""What mentions a word that is to be forgotten, and what is left without it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.mentions import ERASED_DATA, ERASED_TEXT, Mentions, is_erased

JANE = Mentions(["jane@example.com", "Jane Roe", "+49 30 1234"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("write to jane@example.com today", True),
        ("JANE@EXAMPLE.COM", True),
        ("mary-jane@example.community", False),
        ("Jane Roeder", False),
        ("call +49 30 1234.", True),
        ({"to": ["x", {"name": "jane roe"}]}, True),
        ({"jane@example.com": "http_404"}, True),
        ('{"quoted": "{\\"to\\": \\"jane@example.com\\"}"}', True),
        (["Mary", 3, None, True, 2.5], False),
        ({"$claim": "ab" * 32}, False),
    ],
)
def test_a_word_is_found_as_a_whole_wherever_it_stands(value: Any, *, expected: bool) -> None:
    assert JANE.value(value) is expected
    assert JANE.text(orjson.dumps(value).decode()) is expected
    assert JANE.may_be_in(orjson.dumps(value)) or not expected


def test_a_number_is_found_also_where_it_is_no_text() -> None:
    assert Mentions(["4711"]).value({"id": 4711})
    assert not Mentions(["4711"]).value({"id": 47112})


def test_a_payload_put_aside_mentions_what_is_in_it() -> None:
    mentions = Mentions(["jane roe"])
    mentions.claims.add("ab" * 32)
    assert mentions.value({"v": 1, "$claim": "ab" * 32, "size_bytes": 70_000})
    assert mentions.may_be_in(b'{"$claim":')


def test_a_value_without_it_keeps_the_rest() -> None:
    value = {
        "leads": [{"name": "Jane Roe", "phones": []}, {"name": "John Doe", "phones": []}],
        "said": "Jane Roe called",
        "count": 2,
        "by": {"jane@example.com": 1, "john@example.com": 2},
    }
    assert JANE.without(value) == {
        "leads": [{"name": "John Doe", "phones": []}],
        "said": ERASED_TEXT,
        "count": 2,
        "by": {"john@example.com": 2},
    }


def test_of_an_entry_go_the_payloads_that_mention_it_and_nothing_else() -> None:
    entry = {
        "type": "completed", "job": "0-jane", "flow": "leads", "tenant": "jane roe", "task": "3",
        "data": '{"v":1,"name":"Jane Roe"}', "error": "no answer from jane@example.com",
        "emitted": orjson.dumps(
            [
                {"task": 4, "stage": "extract", "data": {"v": 1, "name": "Jane Roe"}, "once": "jane@example.com"},
                {"task": 5, "stage": "extract", "data": {"v": 1, "name": "John Doe"}, "once": "john"},
            ]
        ).decode(),
    }  # fmt: skip
    kept = JANE.fields(entry)
    assert kept is not None
    assert {name: kept[name] for name in ("type", "job", "tenant", "task")} == {
        "type": "completed", "job": "0-jane", "tenant": "jane roe", "task": "3",
    }  # fmt: skip
    assert (kept["data"], kept["error"]) == (ERASED_DATA, ERASED_TEXT)
    assert orjson.loads(kept["emitted"]) == [
        {"task": 4, "stage": "extract", "data": {"v": 1, "$erased": True}},
        {"task": 5, "stage": "extract", "data": {"v": 1, "name": "John Doe"}, "once": "john"},
    ]
    assert is_erased(kept["data"].encode())
    assert JANE.fields(kept) is None, "twice is once"
    assert JANE.fields({"type": "completed", "job": "0-a", "data": '{"name":"John"}'}) is None


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"to": ["jane roe", "john"], "n": 1}, {"to": ["john"], "n": 1}),
        ({"to": ["jane roe"], "n": 1}, {"v": 1, "$erased": True}),
        ({"to": "jane roe"}, {"v": 1, "$erased": True}),
        ({"in": {"to": ["john", {"name": "jane roe"}]}}, {"in": {"to": ["john"]}}),
        ({"to": None, "on": False}, {"to": None, "on": False}),
    ],
)
def test_what_was_asked_keeps_what_else_was_asked(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    assert JANE.spec(spec) == expected
    assert orjson.loads(JANE.spec_text(orjson.dumps(spec).decode())) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at https://a.example/docs.", True),
        ('"https://a.example/docs"', True),
        ("https://a.example/docs/one", False),
        ("https://a.example/docs.html", False),
        ("https://a.example/docs?page=2", False),
    ],
)
def test_an_address_is_not_mentioned_by_a_longer_one(text: str, *, expected: bool) -> None:
    assert Mentions(["https://a.example/docs"]).text(text) is expected


def test_no_words_mean_every_payload() -> None:
    everything = Mentions([])
    kept = everything.fields({"type": "submitted", "job": "0-a", "spec": '{"url":"x"}', "emitted": '[{"data":{}}]'})
    assert kept == {
        "type": "submitted", "job": "0-a", "spec": ERASED_DATA, "emitted": '[{"data":{"v":1,"$erased":true}}]',
    }  # fmt: skip
    assert everything.fields(kept) is None


def test_a_word_that_stands_everywhere_is_refused() -> None:
    with pytest.raises(ValueError, match="3 characters"):
        Mentions(["ab"])


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("+302102617441", "210 2617 441"),
        ("+302102617441", "0030-210-261.74.41"),
        ("+302102617441", "tel:+302102617441"),
        ("+302102617441", "+30 (210) 261 7441"),
        ("+442079460123", "+44 (0)20 7946 0123"),
        ("+442079460123", "020 7946 0123"),
        ("+14155550123", "(415) 555-0123"),
        ("+351212345678", "+351 21 234 56 78"),
        ("+351212345678", "212%20345678"),
    ],
)
def test_a_phone_number_is_found_however_it_is_written(number: str, written: str) -> None:
    mentions = Mentions([number])
    assert mentions.text(f"call {written} now")
    assert mentions.may_be_in(f'{{"phone":"{written}"}}'.encode())
    assert mentions.value({"phone": [written]})
    assert not mentions.text("call 210 2617 442 or 9210261744155 now")
    assert not mentions.may_be_in(b'{"phone":"210 2617 442"}')
