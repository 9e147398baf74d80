"""What a CPU subprocess does for a document: read it, cut it, take the passages' fingerprints."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.documents.chunks import Chunk, chunks_of
from consumers.documents.hashed import BUCKETS, buckets_of
from consumers.documents.kinds import Kind
from consumers.documents.language import configuration_of, language_of
from consumers.documents.limits import ReadLimits
from consumers.documents.rank import fingerprint
from consumers.documents.read import read_document

READER_VERSION = 1
"""Raised when the same bytes would be read differently."""


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document as it is indexed.

    Attributes:
        fingerprints: Of the passages, in order.
        counts: How many passages each bucket of `consumers.documents.hashed` occurs in: bucket to number.
        empty_pages: Pages without usable text: images that nobody could read.
    """

    kind: Kind
    text: str
    title: str | None
    language: str | None
    configuration: str
    page_count: int | None
    chunks: list[Chunk]
    fingerprints: list[int]
    counts: dict[int, int]
    cut: list[str]
    empty_pages: list[int]


def read_and_cut(data: bytes, name: str, chunk_chars: int, overlap_chars: int, max_pages: int) -> ReadDocument:
    """Read a document and cut it into passages.

    Raises:
        DocumentRefused: It is none that can be read, or one that should not be.
    """
    kind, document = read_document(data, name, ReadLimits(max_pages=max_pages))
    chunks = chunks_of(document, chars=chunk_chars, overlap=overlap_chars)
    language = document.language or language_of(document.text)
    counts: dict[int, int] = {}
    for chunk in chunks:
        for bucket in buckets_of(chunk.text):
            counts[bucket] = counts.get(bucket, 0) + 1
    cut = list(document.cut)
    if document.empty_pages:
        cut.append(f"{len(document.empty_pages)} pages have no text of their own and were not recognised")
    return ReadDocument(
        kind, document.text, document.title, language, configuration_of(language), document.page_count, chunks,
        [fingerprint(chunk.text) for chunk in chunks], counts, cut, list(document.empty_pages),
    )  # fmt: skip


def packed(counts: dict[int, int]) -> bytes:
    """Counts of buckets as little-endian uint32, as the collection keeps them."""
    import numpy as np  # noqa: PLC0415 - an extra

    dense = np.zeros(BUCKETS, dtype="<u4")
    for bucket, count in counts.items():
        dense[bucket] = count
    return dense.tobytes()
