"""How well passages are found: prints JSON.

::

    .venv/bin/python bench/search_quality.py [--shared ../shared] [--each 20] [--missed] [--chunk-chars 4000]
                                             [--endpoint URL --model NAME | --folder FOLDER]

Reads the office files and PDFs of the shared samples into one collection of a PostgreSQL of its own, in a temporary
folder: without a model, by an endpoint that speaks OpenAI's ``/v1/embeddings``, or by a sentence-transformers model in
a folder. Asks eight words in a row from passages (is the passage that has them first?) and questions in
other words than the documents use (is a passage of the page that answers among the first ten?). The questions were
written before any was asked, and nothing of the ranking was chosen by them. Their pages were looked up by keywords, the
first few of each: another page may answer too, and counts as a miss.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from consumers.documents.errors import DocumentRefused
from consumers.documents.work import packed, read_and_cut
from consumers.embeddings import choose
from consumers.search import search
from consumers.store import Store, upgrade
from consumers.store.models import Collection
from consumers.store.passages import NewPassage
from schemas.documents import CollectionSettings, EmbeddingChoice, Passage, SearchRequest, settings_of
from schemas.settings import Settings
from streams.embedded.postgres import PostgresServer

TENANT = "bench"
FIRST = 10
PARAPHRASES = (
    ("how fast may I drive inside the neighbourhood", "2013-RR-Final.pdf", {1}),
    ("what happens to a car whose permit was reported as stolen", "2013-RR-Final.pdf", {2}),
    ("when can residents swim on Saturdays", "2013-RR-Final.pdf", {3}),
    ("may I nail a notice to a lamp post", "2013-RR-Final.pdf", {3}),
    ("people with long hair in the water", "2013-RR-Final.pdf", {4}),
    ("cleaning up dog droppings", "2013-RR-Final.pdf", {6, 7}),
    ("who pays when a satellite receiver lets water into the wall", "2013-RR-Final.pdf", {7, 8}),
    ("landlord liable for harm done by renters", "2013-RR-Final.pdf", {9}),
    ("colours allowed for curtains", "architectural_guidlines.pdf", {5}),
    ("the committee does not reply within a month", "architectural_guidlines.pdf", {4}),
    ("reflective film on glass", "architectural_guidlines.pdf", {5, 6}),
    ("how large a penalty for a continuing breach", "architectural_guidlines.pdf", {11}),
    ("number of staff at the sportswear maker", "NIKE_2021_10K.pdf", {8}),
    ("which countries make the shoes", "NIKE_2021_10K.pdf", {6}),
    ("hackers breaking into computer systems", "NIKE_2021_10K.pdf", {13, 18, 23}),
    ("sales differ between summer and winter", "NIKE_2021_10K.pdf", {4, 12, 16}),
    ("share of revenue that comes from the American state", "LOCKHEEDMARTIN_2021_10K.pdf", {3, 11, 32}),
    ("rules about carbon emissions and global warming", "LOCKHEEDMARTIN_2021_10K.pdf", {10, 24}),
    ("dependence on one fighter jet", "LOCKHEEDMARTIN_2021_10K.pdf", {4, 11}),
    ("removing caffeine without solvents", "SWISSWATER_2022_AR.pdf", {5, 11, 26}),
    ("building another factory line in Canada", "SWISSWATER_2022_AR.pdf", {5, 8, 9}),
    ("protection against coffee price swings", "SWISSWATER_2022_AR.pdf", {12, 13}),
    ("how often are profits paid out to owners of the tanker company", "NORDICTANKERS_2022_20F.pdf", {38, 74}),
    ("equipment that washes sulphur out of ship exhaust", "NORDICTANKERS_2022_20F.pdf", {21, 23, 44}),
    ("advertising on video and social networks", "BRAVEBISON_2022_AR.pdf", {6, 8, 12}),
    ("how many people did the media group employ", "BRAVEBISON_2022_AR.pdf", {50}),
    ("money left after loans are repaid", "BRAVEBISON_2022_AR.pdf", {6, 9, 11}),
)
"""Question, file, and the pages of which any answers it."""


def files(shared: Path) -> list[Path]:
    """The samples: those with questions, and as many others as stand beside them."""
    found: dict[str, Path] = {}
    for folder in ("sites", "filings"):
        for suffix in ("pdf", "docx", "pptx", "xlsx"):
            for path in sorted((shared / "data" / folder).rglob(f"*.{suffix}")):
                found.setdefault(path.name, path)
    return list(found.values())


async def fill(store: Store, collection: Collection, paths: list[Path], operator: Settings) -> dict[str, Any]:
    """Index the files; how many, their passages, and the model."""
    chars = settings_of(collection.settings).chunk_chars
    read, told = [], dict.fromkeys(("documents", "not_read", "passages"), 0)
    for number, path in enumerate(paths):
        try:
            one = read_and_cut(path.read_bytes(), path.name, chars, chars // 10, 2_000)
        except DocumentRefused:
            told["not_read"] += 1
            continue
        document = await store.collected.put(
            collection.id,
            f"{number:064x}",
            tenant=TENANT,
            name=path.name,
            kind=one.kind,
            size_bytes=path.stat().st_size,
        )
        rows = [
            NewPassage(chunk.start, chunk.end, chunk.text, chunk.first_page, chunk.last_page, chunk.section, mark)
            for chunk, mark in zip(one.chunks, one.fingerprints, strict=True)
        ]
        await store.passages.replace(
            document, rows, configuration=one.configuration, kind=one.kind, page_count=one.page_count
        )
        await store.passages.count_features(collection.id, packed(one.counts), len(rows), tenant=TENANT)
        read.append((document, [chunk.text for chunk in one.chunks]))
        told["documents"] += 1
        told["passages"] += len(rows)
    counted = await store.collections.ensure(collection.name, tenant=TENANT)
    embedder = choose(counted, settings_of(counted.settings), operator).embedder
    dimension = 0
    for document, texts in read:
        vectors = await embedder.embed(texts)
        await store.vectors.put(document, embedder.name, vectors)
        dimension = len(vectors[0])
    await store.collections.embedded_with(collection.id, embedder.name, dimension, tenant=TENANT)
    await store.vectors.ensure_index(embedder.name, dimension)
    return {"model": embedder.name, "chunk_chars": chars, **told}


async def exact(store: Store, collection: Collection, each: int, operator: Settings) -> tuple[int, int, list[str]]:
    """Eight words in a row from passages: asked, first, and those that were not."""
    rng = random.Random(11)  # noqa: S311 - the same queries each time
    asked, first, missed = 0, 0, []
    for document in (await store.collected.page(collection.id, tenant=TENANT, limit=1_000)).items:
        texts = await store.passages.texts(document.id, tenant=TENANT)
        for text in rng.sample(texts, min(each, len(texts))):
            words = [word for word in text.split() if word != "|"]
            if len(words) < FIRST:
                continue
            at = rng.randrange(len(words) - 8)
            query = " ".join(words[at : at + 8])
            if query not in " ".join(text.split()) or sum(char.isalpha() for char in query) < FIRST:
                continue  # across cells of a table, or figures only
            asked += 1
            found = await ask(store, collection, query, 1, operator)
            if found and query.lower() in " ".join(found[0].text.lower().split()):
                first += 1
            else:
                missed.append(f"{document.name}: {query}")
    return asked, first, missed


async def ask(store: Store, collection: Collection, query: str, limit: int, operator: Settings) -> list[Passage]:
    """Search without folding: a page's passage counts, whatever else says nearly the same."""
    return await search(store, operator, collection, SearchRequest(query=query, limit=limit, fold=False))


async def paraphrased(store: Store, collection: Collection, operator: Settings) -> tuple[list[int | None], list[str]]:
    """The rank of the first passage that answers each question, and the questions without one."""
    ranks: list[int | None] = []
    missed = []
    for question, name, pages in PARAPHRASES:
        found = await ask(store, collection, question, FIRST, operator)
        ranks.append(
            next(
                (
                    rank
                    for rank, one in enumerate(found, 1)
                    if one.document == name and pages & set(range(one.first_page or 0, (one.last_page or 0) + 1))
                ),
                None,
            )
        )
        if ranks[-1] is None:
            missed.append(question)
    return ranks, missed


async def measured(url: str, shared: Path, each: int, chosen: CollectionSettings, operator: Settings) -> dict[str, Any]:
    """All figures."""
    await upgrade(url)
    async with Store.connect(url) as store:
        made = await store.collections.create("samples", chosen, tenant=TENANT)
        told = await fill(store, made, files(shared), operator)
        collection = await store.collections.ensure("samples", tenant=TENANT)
        asked, first, not_first = await exact(store, collection, each, operator)
        ranks, missed = await paraphrased(store, collection, operator)
    return {
        **told, "exact_phrases": asked, "exact_first": round(first / max(1, asked), 4),
        "paraphrases": len(ranks),
        "recall_at_10": round(sum(rank is not None for rank in ranks) / len(ranks), 4),
        "reciprocal_rank": round(sum(1 / rank for rank in ranks if rank) / len(ranks), 4),
        "missed": {"exact": not_first, "paraphrases": missed},
    }  # fmt: skip


def main() -> int:
    """Measure and print; 3 without the samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("MILLRACE_SHARED", "../shared")))
    parser.add_argument("--each", type=int, default=20, help="phrases of each document")
    parser.add_argument("--missed", action="store_true", help="also print what was not found")
    parser.add_argument("--chunk-chars", type=int, default=4_000, help="longest passage; a tenth of it overlaps")
    parser.add_argument("--endpoint", help="base URL of an embedding endpoint, with --model")
    parser.add_argument("--model", help="of the endpoint")
    parser.add_argument("--folder", type=Path, help="a sentence-transformers model")
    asked = parser.parse_args()
    provider = "endpoint" if asked.endpoint else "local" if asked.folder else "hashed"
    operator = Settings(embedding_base_url=asked.endpoint, embedding_model=asked.model, embedding_folder=asked.folder)
    chosen = CollectionSettings(
        chunk_chars=asked.chunk_chars, overlap_chars=asked.chunk_chars // 10,
        embedding=EmbeddingChoice(provider=provider),
    )  # fmt: skip
    if not (asked.shared / "data").is_dir():
        print(f"there are no samples at {asked.shared}; name their folder with --shared", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder))
        server.start()
        try:
            figures = asyncio.run(measured(server.url, asked.shared, asked.each, chosen, operator))
        finally:
            server.stop()
    if not asked.missed:
        figures.pop("missed")
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
