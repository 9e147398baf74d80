"""Words of a page: SimHash, dummy text, terms."""

from __future__ import annotations

import random

import pytest

from consumers.audit.dummy_text import dummy_text
from consumers.audit.profile import terms_in
from consumers.audit.words import _majority, distance, simhash_of

SHIPS = " ".join(f"Lamp {n} burns {n % 7} hours in the harbour of town {n % 13}." for n in range(120))


@pytest.mark.parametrize("count", [1, 2, 6, 7, 64, 65, 536, 1_023, 1_024, 1_025])
def test_the_majority_of_each_bit_is_what_counting_says(count: int) -> None:
    lanes = [random.Random(f"{count} {n}").getrandbits(64) for n in range(count)]  # noqa: S311 - a sample
    packed = sum(lane << (64 * n) for n, lane in enumerate(lanes))
    counted = sum(1 << bit for bit in range(64) if 2 * sum(lane >> bit & 1 for lane in lanes) > count)
    assert _majority(packed, count) == counted


def test_texts_that_differ_in_a_word_are_near_and_others_are_not() -> None:
    one_word = SHIPS.replace("Lamp 60 ", "Lantern 60 ")
    assert distance(simhash_of(SHIPS), simhash_of(one_word)) <= 3
    assert distance(simhash_of(SHIPS), simhash_of(" ".join(reversed(SHIPS.split())))) > 3
    assert simhash_of(SHIPS) == simhash_of(SHIPS.upper())
    assert simhash_of("only a few words here") == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Welcome. Lorem ipsum dolor. And so on", ["Lorem ipsum dolor"]),
        ("Call {{ phone }} or ${name} now", ["{{ phone }}", "${name}"]),
        ("Ask [Your Company Name] for more", ["[Your Company Name]"]),
        ("Your heading goes here", ["Your heading goes here"]),
        ("We are here [1] for your company and its name", []),
        ("Just Another WordPress site; xxx-xxx-xxxx", ["Just Another WordPress", "xxx-xxx-xxxx"]),
    ],
)
def test_dummy_text_is_found_in_the_order_of_the_text(text: str, found: list[str]) -> None:
    assert dummy_text(text) == found


def test_terms_are_words_and_pairs_that_carry_a_topic() -> None:
    assert terms_in("Ship lamps and ship lamps for the harbour") == {
        "ship": 2, "lamps": 2, "harbour": 1, "ship lamps": 2,
    }  # fmt: skip
