"""What a language model answers from passages: its shape, and what of it is believed. Pure.

Nothing is believed that a passage does not say: every statement needs a quote that stands in its passage, and each of
its numbers must stand in a quote or in the question. What is left is the answer; when nothing is left there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_QUOTE_CHARS: Final = 8
"""Shorter quotes stand everywhere and support nothing."""

INSTRUCTIONS: Final = """\
Answer the question at the end from the passages that you are given, and from nothing else. Each line is one passage as
JSON, with its number. Answer in the question's language, in short statements. Give each statement the quotes that
support it: the number of the passage and a few words to a sentence of its text, copied letter by letter. Write numbers
and names as they are printed. A statement that no passage supports is not made. When the passages do not answer the
question give no statements, and say in `unanswered` what is missing. The question:
{question}"""

_NUMBER: Final = re.compile(r"\d+")


class Quote(BaseModel):
    """Words of a passage."""

    passage: int
    quote: str = Field(max_length=4_000)


class Statement(BaseModel):
    """One statement of the answer, with what supports it."""

    text: str = Field(min_length=1, max_length=2_000)
    quotes: list[Quote] = Field(default_factory=list, max_length=20)


class SaidAnswer(BaseModel):
    """What the model says."""

    statements: list[Statement] = Field(default_factory=list, max_length=30)
    unanswered: str | None = Field(default=None, max_length=1_000)


@dataclass(frozen=True, slots=True)
class Cited:
    """A span of a passage that supports a statement of the answer.

    Attributes:
        passage: Index of the passage, from 0.
        start: Of the span within the passage; `end` is after it.
        statement: Index of the statement, from 0.
    """

    passage: int
    start: int
    end: int
    statement: int


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """What of an answer the passages support.

    Attributes:
        statements: Empty when nothing is left.
        dropped: How many quotes and statements were not believed.
    """

    statements: tuple[str, ...]
    citations: tuple[Cited, ...]
    dropped: int


def instructions_for(question: str) -> str:
    """What the model is told; the question stands in it as a JSON string."""
    return INSTRUCTIONS.format(question=orjson.dumps(question).decode())


def data_for(passages: Sequence[tuple[str, str]]) -> str:
    """The passages, each ``(document, text)``, as the model gets them: a line of JSON each, which no text can leave."""
    lines = [
        orjson.dumps({"passage": number, "document": document, "text": text}).decode()
        for number, (document, text) in enumerate(passages, 1)
    ]
    return "\n".join(lines)


def checked(said: SaidAnswer, texts: Sequence[str], question: str) -> CheckedAnswer:
    """Keep what the passages say.

    Args:
        said: The model's answer; its passages are numbered from 1.
        texts: Of the passages.
        question: Whose numbers a statement may repeat.
    """
    statements: list[str] = []
    citations: list[Cited] = []
    dropped = 0
    for statement in said.statements:
        found = []
        for quote in statement.quotes:
            span = _span(quote.quote, texts[quote.passage - 1]) if 1 <= quote.passage <= len(texts) else None
            if span is None:
                dropped += 1
            else:
                found.append((quote.passage - 1, *span))
        printed = " ".join([question, *(texts[at][start:end] for at, start, end in found)])
        text = " ".join(statement.text.split())
        if not found or not text or not set(_NUMBER.findall(text)) <= set(_NUMBER.findall(printed)):
            dropped += 1
            continue
        citations += [Cited(at, start, end, len(statements)) for at, start, end in dict.fromkeys(found)]
        statements.append(text)
    return CheckedAnswer(tuple(statements), tuple(citations), dropped)


def _span(quote: str, text: str) -> tuple[int, int] | None:
    """Where a quote stands in a text, letter by letter; only blanks and line breaks may differ."""
    words = quote.split()
    if sum(map(len, words)) < LEAST_QUOTE_CHARS:
        return None
    found = re.search(r"\s+".join(map(re.escape, words)), text)
    return found.span() if found else None
