"""Cutting a text into passages that overlap, never within a word, with their places in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from consumers.documents.text import DocumentText

CHUNK_CHARS: Final = 4_000
OVERLAP_CHARS: Final = 400


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: ``text == document.text[start:end]``.

    Attributes:
        first_page: Where it begins; None where the format has no pages.
        section: Headings that it begins under.
    """

    ordinal: int
    start: int
    end: int
    text: str
    first_page: int | None
    last_page: int | None
    section: str | None


def chunks_of(document: DocumentText, *, chars: int = CHUNK_CHARS, overlap: int = OVERLAP_CHARS) -> list[Chunk]:
    """The passages of a document, in order.

    Args:
        document: What was read.
        chars: Longest passage, in characters.
        overlap: How far a passage reaches back into the one before, at most; less than `chars`.

    A word longer than `chars` is the one thing that is cut.
    """
    from semantic_text_splitter import TextSplitter  # noqa: PLC0415 - an extra

    text = document.text
    splitter = TextSplitter(chars, overlap=overlap, trim=True)
    found = []
    for ordinal, (offset, piece) in enumerate(splitter.chunk_indices(text)):
        end = offset + len(piece)
        start = _whole_word(text, offset, end)
        pages = document.pages_of(start, end)
        first, last = pages or (None, None)
        found.append(Chunk(ordinal, start, end, text[start:end], first, last, document.section_of(start)))
    return found


def _whole_word(text: str, start: int, end: int) -> int:
    """Where a passage begins when its beginning lies within a word: at the next; the one before has it whole."""
    if not (start and text[start].isalnum() and text[start - 1].isalnum()):
        return start
    at = start
    while at < end and not text[at].isspace():
        at += 1
    while at < end and text[at].isspace():
        at += 1
    return at if at < end else start
