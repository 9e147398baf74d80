"""How fast documents become searchable, and searches are answered: prints JSON.

::

    .venv/bin/python bench/documents.py [--passages 100000] [--indexed 10000]

Runs a PostgreSQL of its own with fsync on, in a temporary folder. Texts are invented; passages have 4,000 characters.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import io
import json
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path

from reportlab.pdfgen import canvas

from consumers.documents.chunks import chunks_of
from consumers.documents.hashed import DIMENSION, NAME, buckets_of, embed
from consumers.documents.rank import fingerprint
from consumers.documents.text import Block, TextBuilder
from consumers.documents.work import packed, read_and_cut
from consumers.search import search
from consumers.store import Store, upgrade
from consumers.store.passages import NewPassage
from consumers.store.vectors import index_name
from schemas.documents import CollectionSettings, SearchRequest
from schemas.settings import Settings
from streams.embedded.postgres import PostgresServer

TENANT = "bench"
WORDS = 20_000
PART = 500
"""Passages of one document."""

WRITERS = 2
"""Documents that one worker reads at a time, see the stage's policy."""


def vocabulary(rng: random.Random) -> list[str]:
    """Invented words; the first ones are used most, as Zipf says."""
    letters = "aeiounrtslmdbkgpfvhcwzyjxq"
    return ["".join(rng.choices(letters, k=rng.randint(2, 11))) for _ in range(WORDS)]


def prose(rng: random.Random, words: list[str], chars: int) -> str:
    """A text of about so many characters."""
    weights = [1 / (rank + 5) for rank in range(len(words))]
    text = " ".join(rng.choices(words, weights, k=chars // 6))
    return text[:chars]


def pages_memory(rng: random.Random, words: list[str], count: int = 300) -> dict[str, float]:
    """Peak memory of the CPU subprocess that reads a PDF of so many pages, 3,000 characters each."""
    file = io.BytesIO()
    paper = canvas.Canvas(file)
    for _ in range(count):
        text = prose(rng, words, 3_000)
        for row in range(0, len(text), 60):
            paper.drawString(40, 800 - row // 60 * 14, text[row : row + 60])
        paper.showPage()
    paper.save()
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        began = time.perf_counter()
        chars, peak_kb = pool.submit(_read_once, file.getvalue()).result()
        took = time.perf_counter() - began
    return {"pdf_pages": count, "pdf_chars": chars, "pdf_read_s": took, "pdf_peak_mb": peak_kb / 1_024}


def _read_once(data: bytes) -> tuple[int, int]:
    read = read_and_cut(data, "long.pdf", 4_000, 400, 2_000)
    return len(read.text), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def put(store: Store, collection_id: str, sha256: str, texts: list[str]) -> None:
    """Write a document of these passages."""
    document = await store.collected.put(collection_id, sha256, tenant=TENANT, name=sha256, size_bytes=1, kind="text")
    rows = [NewPassage(0, len(text), text, 1, 1, None, fingerprint(text)) for text in texts]
    await store.passages.replace(document, rows, configuration="english")


def chunking(rng: random.Random, words: list[str]) -> dict[str, float]:
    """Cutting a long text."""
    builder = TextBuilder(1_000_000)
    builder.add_all(Block(prose(rng, words, 1_000)) for _ in range(600))
    long = builder.done()
    began = time.perf_counter()
    count = len(chunks_of(long))
    took = time.perf_counter() - began
    return {"chunked_characters": len(long.text), "chunks": count, "chunking_ms": took * 1_000}


def marking(pool: list[str]) -> dict[str, float]:
    """What is worked out for each passage."""
    figures = {}
    for name, work in (("fingerprints_per_s", fingerprint), ("hashed_vectors_per_s", embed)):
        began = time.perf_counter()
        for text in pool[:500]:
            work(text)
        figures[name] = 500 / (time.perf_counter() - began)
    return figures


async def writing(store: Store, collection_id: str, rng: random.Random, pool: list[str], passages: int) -> float:
    """Make passages searchable by their words, two documents at a time as a worker does; how many a second."""
    parts = [
        (f"{first:064x}", [pool[rng.randrange(len(pool))] for _ in range(min(PART, passages - first))])
        for first in range(0, passages, PART)
    ]
    began = time.perf_counter()

    async def write_next() -> None:
        while parts:
            await put(store, collection_id, *parts.pop())

    await asyncio.gather(*(write_next() for _ in range(WRITERS)))
    took = time.perf_counter() - began
    counts: dict[int, int] = {}
    for text in pool:
        for bucket in buckets_of(text):
            counts[bucket] = counts.get(bucket, 0) + max(1, passages // len(pool))
    await store.passages.count_features(collection_id, packed(counts), passages, tenant=TENANT)
    return passages / took


async def indexing(store: Store, collection_id: str, pool: list[str], indexed: int) -> dict[str, float]:
    """Put vectors into the index one document after another, the rate at the end; then all others, and build it."""
    await store.vectors.ensure_index(NAME, DIMENSION)
    vectors = [embed(text).tolist() for text in pool]
    done, last = 0, 1.0
    figures: dict[str, float] = {}
    for document in (await store.collected.page(collection_id, tenant=TENANT, limit=1_000)).items:
        if done >= indexed and not figures:
            figures = {"indexed": done, "hnsw_per_s_at_the_end": last}
            await in_autocommit(store, f"DROP INDEX {index_name(NAME, DIMENSION)}")
        part = [vectors[(done + at) % len(vectors)] for at in range(int(document.chunk_count))]
        began = time.perf_counter()
        await store.vectors.put(document, NAME, part)
        last = len(part) / (time.perf_counter() - began)
        done += len(part)
    figures = figures or {"indexed": done, "hnsw_per_s_at_the_end": last}
    began = time.perf_counter()
    await store.vectors.ensure_index(NAME, DIMENSION)
    await store.collections.embedded_with(collection_id, NAME, DIMENSION, tenant=TENANT)
    await in_autocommit(store, "VACUUM ANALYZE")
    return {**figures, "vectors": done, "hnsw_built_in_s": time.perf_counter() - began}


async def in_autocommit(store: Store, statement: str) -> None:
    """What no transaction can hold, or should."""
    async with store.database.engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).exec_driver_sql(statement)


async def searching(store: Store, rng: random.Random, words: list[str]) -> dict[str, float]:
    """Answer queries of four words."""
    collection = await store.collections.ensure("bench", tenant=TENANT)
    times = []
    for _ in range(200):
        query = " ".join(rng.choice(words[200:8_000]) for _ in range(4))
        began = time.perf_counter()
        await search(store, Settings(), collection, SearchRequest(query=query))
        times.append((time.perf_counter() - began) * 1_000)
    return {"search_p50_ms": statistics.median(times), "search_p95_ms": statistics.quantiles(times, n=20)[18]}


async def measured(url: str, passages: int, indexed: int) -> dict[str, float]:
    """All figures."""
    rng = random.Random(7)  # noqa: S311 - the same texts each time
    words = vocabulary(rng)
    pool = [prose(rng, words, 4_000) for _ in range(2_000)]
    figures = chunking(rng, words) | marking(pool) | pages_memory(rng, words)
    await upgrade(url)
    async with Store.connect(url) as store:
        collection = await store.collections.create("bench", CollectionSettings(), tenant=TENANT)
        figures["passages"] = passages
        figures["text_searchable_per_s"] = await writing(store, collection.id, rng, pool, passages)
        figures |= await indexing(store, collection.id, pool, indexed)
        return figures | await searching(store, rng, words)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--indexed", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder))
        server.start()
        try:
            figures = asyncio.run(measured(server.url, asked.passages, asked.indexed))
        finally:
            server.stop()
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
