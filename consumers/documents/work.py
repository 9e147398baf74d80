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
from consumers.documents.scans import MOST_PAGES, Scans, is_installed

READER_VERSION = 2
"""Raised when the same bytes would be read differently."""


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document as it is indexed.

    Attributes:
        fingerprints: Of the passages, in order.
        counts: How many passages each bucket of `consumers.documents.hashed` occurs in: bucket to number.
        empty_pages: Pages without usable text: images that nobody could read, or nothing at all.
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
    scans = Scans() if is_installed() else None
    kind, document = read_document(data, name, ReadLimits(max_pages=max_pages), scans)
    chunks = chunks_of(document, chars=chunk_chars, overlap=overlap_chars)
    language = document.language or language_of(document.text)
    counts: dict[int, int] = {}
    for chunk in chunks:
        for bucket in buckets_of(chunk.text):
            counts[bucket] = counts.get(bucket, 0) + 1
    cut = list(document.cut)
    if document.empty_pages:
        cut.append(_unread(len(document.empty_pages), scans))
    return ReadDocument(
        kind, document.text, document.title, language, configuration_of(language), document.page_count, chunks,
        [fingerprint(chunk.text) for chunk in chunks], counts, cut, list(document.empty_pages),
    )  # fmt: skip


def _unread(count: int, scans: Scans | None) -> str:
    """What became of pages without usable text, and what to do about it."""
    if scans is None:
        return f"{count} pages have no text of their own and tesseract is not installed: install it and reindex"
    if scans.left == 0:
        return f"{count} pages have no text of their own; only {MOST_PAGES} were recognised: split the document"
    return f"{count} pages have no text of their own and none was recognised on them"


def packed(counts: dict[int, int]) -> bytes:
    """Counts of buckets as little-endian uint32, as the collection keeps them."""
    import numpy as np  # noqa: PLC0415 - an extra

    dense = np.zeros(BUCKETS, dtype="<u4")
    for bucket, count in counts.items():
        dense[bucket] = count
    return dense.tobytes()
