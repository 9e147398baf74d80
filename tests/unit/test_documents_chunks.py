"""Passages: where they begin and end, and what they know of their place."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from consumers.documents.chunks import chunks_of
from consumers.documents.text import Block, DocumentText, TextBuilder


def built(*blocks: Block) -> DocumentText:
    builder = TextBuilder(1_000_000)
    builder.add_all(blocks)
    return builder.done()


def prose(words: int, seed: int = 1) -> str:
    rng = random.Random(seed)  # noqa: S311 - the same text each time
    letters = ("".join(rng.choices("abcdefgh", k=rng.randint(1, 12))) for _ in range(words))
    return " ".join(word + rng.choice(["", ",", "."]) for word in letters)


def test_passages_cover_the_text_and_overlap() -> None:
    document = built(Block(prose(5_000)))
    chunks = chunks_of(document)
    assert all(document.text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert max(len(chunk.text) for chunk in chunks) <= 4_000
    for before, after in itertools.pairwise(chunks):
        assert 0 < before.end - after.start <= 400
    assert (chunks[0].start, chunks[-1].end) == (0, len(document.text))


def test_a_passage_knows_its_pages_and_section() -> None:
    document = built(
        Block("Wheels", "heading", 1),
        Block(prose(60), page=1),
        Block("Weirs", "heading", 2),
        Block(prose(60, 2), page=3),
    )
    chunks = chunks_of(document, chars=200, overlap=20)
    assert (chunks[0].first_page, chunks[0].section) == (1, "Wheels")
    assert (chunks[-1].last_page, chunks[-1].section) == (3, "Weirs")


def test_a_word_longer_than_a_passage_is_the_one_thing_cut() -> None:
    chunks = chunks_of(built(Block("x" * 1_000)), chars=300, overlap=0)
    assert [len(chunk.text) for chunk in chunks] == [300, 300, 300, 100]


def test_nothing_has_no_passages() -> None:
    assert chunks_of(built()) == []


@given(st.lists(st.text("abc äß.\n,!", min_size=1, max_size=80), max_size=40), st.integers(40, 120), st.integers(0, 30))
def test_no_word_is_split(parts: list[str], chars: int, overlap: int) -> None:
    document = built(*(Block(part) for part in parts))
    if max((len(word) for word in document.text.split()), default=0) > 30:
        return
    text = document.text
    for chunk in chunks_of(document, chars=chars, overlap=overlap):
        assert len(chunk.text) <= chars
        for edge in (chunk.start, chunk.end):
            assert not (0 < edge < len(text) and text[edge - 1].isalnum() and text[edge].isalnum())
