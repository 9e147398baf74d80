"""The vectors of passages by an endpoint: batches, what is kept, refusals, another model, a killed worker."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from consumers.documents.flow import flow
from consumers.embeddings.endpoint import BATCH, EndpointEmbedder
from consumers.search import search
from consumers.store.models import Collection
from schemas.documents import CollectionSettings, DocumentsResult, EmbeddingChoice, Passage, SearchRequest
from streams.errors import PermanentError, TransientError
from tests.support.embedding_server import EmbeddingServer, embedding_server
from tests.support.flow_place import TENANT, Place, place
from tests.support.servers import REPOSITORY


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with embedding_server() as running:
        yield running


@pytest.fixture
def settings(server: EmbeddingServer, namespace: str) -> dict[str, Any]:
    return {
        "namespace": namespace, "embedding_base_url": server.url, "embedding_model": "small", "lease_ms": 1_500,
    }  # fmt: skip


@pytest.fixture
async def here(valkey_url: str, store_url: str, settings: dict[str, Any], tmp_path: Path) -> AsyncIterator[Place]:
    async with place(valkey_url, store_url, tmp_path, flow=flow, **settings) as running:
        yield running


def by(model: str | None = None, **more: Any) -> CollectionSettings:
    embedding = EmbeddingChoice(provider="endpoint", model=model)
    return CollectionSettings(chunk_chars=200, overlap_chars=0, embedding=embedding, **more)


def words(count: int, name: str) -> bytes:
    return "\n\n".join(f"{name} paragraph {at} " + "about the mill and its wheel " * 5 for at in range(count)).encode()


async def upload(here: Place, name: str, body: bytes) -> str:
    artifact = await here.worker.resources.blobs.put(body, tenant=TENANT, content_type="application/octet-stream")
    return (await here.store.collections.put_upload(name, artifact.sha256, len(body), "text", tenant=TENANT)).id


async def done(here: Place, **spec: Any) -> DocumentsResult:
    record = await here.run(**spec)
    assert record.status == "succeeded", await here.errors(record.job_id)
    kept = await here.store.results.get(record.job_id, tenant=TENANT)
    assert kept is not None
    return DocumentsResult.model_validate(kept.payload)


async def collection_of(here: Place, name: str) -> Collection:
    found = await here.store.collections.find(name, tenant=TENANT)
    assert found is not None
    return found


async def ask(here: Place, name: str, query: str) -> list[Passage]:
    settings = here.worker.resources.settings
    return await search(here.store, settings, await collection_of(here, name), SearchRequest(query=query))


async def counted(here: Place, collection_id: str) -> dict[str, int]:
    """Passages, and vectors of each model."""
    async with here.store.database.begin() as session:
        where = "FROM {} WHERE collection_id = :id"
        passages = await session.scalar(text(f"SELECT count(*) {where.format('passages')}"), {"id": collection_id})
        rows = await session.execute(
            text(f"SELECT model, count(*) {where.format('passage_vectors')} GROUP BY model"), {"id": collection_id}
        )
        return {"passages": passages or 0, **{row[0]: row[1] for row in rows}}


async def test_batches_in_order_with_the_key(server: EmbeddingServer) -> None:
    embedder = EndpointEmbedder(server.url, "small", SecretStr("sk-secret"))
    vectors = await embedder.embed([f"text {at}" for at in range(BATCH + 3)])
    assert [len(texts) for _, texts in server.asked] == [BATCH, 3]
    assert (len(vectors), embedder.calls, server.keys) == (BATCH + 3, 2, {"Bearer sk-secret"})
    assert vectors[BATCH] == (await embedder.embed([f"text {BATCH}"]))[0]
    assert sum(x * x for x in vectors[0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("status", "said", "headers", "kind", "wait_s"),
    [
        (429, "slow down", {"Retry-After": "7"}, TransientError, 7),
        (503, "away", {}, TransientError, None),
        (401, "no key", {}, PermanentError, None),
        (302, "there", {"Location": "http://127.0.0.1:1/"}, PermanentError, None),
        (200, "<html>", {}, PermanentError, None),
        (200, {"data": []}, {}, PermanentError, None),
        (200, {"data": [{"index": 0, "embedding": ["x"]}]}, {}, PermanentError, None),
        (200, {"data": [{"index": 0, "embedding": None}]}, {}, PermanentError, None),
        (200, {"error": "no such model"}, {}, PermanentError, None),
        (200, [], {}, PermanentError, None),
    ],
)
async def test_wrong_answers_are_told_apart(
    server: EmbeddingServer, status: int, said: Any, headers: dict[str, str], kind: type[Exception], wait_s: int | None
) -> None:
    server.instead = [(status, said, headers)]
    with pytest.raises(kind) as caught:
        await EndpointEmbedder(server.url, "small", SecretStr("sk-secret")).embed(["a text"])
    assert getattr(caught.value, "reason", "") == "embedding_endpoint"
    assert getattr(caught.value, "retry_after_s", None) == wait_s
    assert "sk-secret" not in str(caught.value)


async def test_a_text_is_asked_once_and_a_model_changes_without_a_gap(here: Place, server: EmbeddingServer) -> None:
    made = await here.store.collections.create("mill", by(stays_here=True), tenant=TENANT)
    try:
        server.instead = [(429, "slow down", {"Retry-After": "0"})]
        one = await upload(here, "one.txt", words(3, "first"))
        two = await upload(here, "two.txt", words(3, "second"))
        first = await done(here, collection=made.id, uploads=[one, two])
        assert (first.embedding, first.cost["calls"]) == ("small", 2)
        assert first.cost["tokens"] == sum(map(len, server.texts("small")))
        await done(here, collection=made.id, documents=[first.documents[0].document_id])
        texts = server.texts("small")
        assert len(texts) == len(set(texts)) == first.chunks_created
        before = await counted(here, made.id)
        assert before == {"passages": len(texts), "small": len(texts)}

        await here.store.collections.change(made.id, "mill", by("large", stays_here=True), tenant=TENANT)
        server.holds = ("large", 1)
        job = await here.submit(collection=made.id, reindex=True)
        await asyncio.wait_for(server.held.wait(), 20)
        # One document has vectors of the new model, the other waits for them: searches use the old one.
        assert (await collection_of(here, made.id)).embedding == "small"
        asked = server.of("small")
        found = await ask(here, made.id, texts[0])
        assert (server.of("small"), found[0].text) == (asked + 1, texts[0])
        assert {"exact", "vector"} <= set(found[0].found_by)
        server.released.set()
        assert (await here.ended(job)).status == "succeeded"
        after = await collection_of(here, made.id)
        assert (after.embedding, after.dimension) == ("large", 16)
        assert await counted(here, made.id) == {"passages": len(texts), "large": len(texts)}
        assert "vector" in (await ask(here, made.id, texts[0]))[0].found_by
        # And back to none at all: the endpoint is asked for queries until the change is done.
        await here.store.collections.change(
            made.id, "mill", CollectionSettings(chunk_chars=200, overlap_chars=0), tenant=TENANT
        )
        assert "vector" in (await ask(here, made.id, texts[0]))[0].found_by
    finally:
        await erase(here, made.id)


async def erase(here: Place, collection_id: str) -> None:
    for one in (await here.store.collected.page(collection_id, tenant=TENANT)).items:
        await here.store.collected.remove(one.id, tenant=TENANT)
    assert await counted(here, collection_id) == {"passages": 0}
    await here.store.collections.remove(collection_id, tenant=TENANT)


async def test_erasure_leaves_no_vector_of_a_text(here: Place, server: EmbeddingServer) -> None:
    made = await here.store.collections.create("gone", by(), tenant=TENANT)
    kept = await here.store.collections.create("kept", by(), tenant=TENANT)
    body = words(2, "erased")
    await done(here, collection=made.id, uploads=[await upload(here, "a.txt", body)])
    await done(here, collection=kept.id, uploads=[await upload(here, "a.txt", body)])
    assert server.of("small") == 1, "what another document said too is not asked again"
    await erase(here, made.id)
    async with here.store.database.begin() as session:
        assert await session.scalar(text("SELECT count(*) FROM vector_cache WHERE tenant = 'default'")) == 0
    (other,) = (await here.store.collected.page(kept.id, tenant=TENANT)).items
    await done(here, collection=kept.id, documents=[other.id])
    assert server.of("small") == 2
    await erase(here, kept.id)


async def test_a_collection_that_stays_here_refuses_an_endpoint_elsewhere(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    away = "https://models.example.com/v1"
    async with place(
        valkey_url, store_url, tmp_path, flow=flow, namespace=namespace, embedding_base_url=away,
        embedding_model="small",
    ) as here:  # fmt: skip
        made = await here.store.collections.create("stays", by(stays_here=True), tenant=TENANT)
        record = await here.run(collection=made.id, uploads=[await upload(here, "a.txt", words(1, "a"))])
        assert [one.partition(":")[0] for one in await here.errors(record.job_id)][:1] == ["leaves_machine"]
        await erase(here, made.id)


async def test_a_worker_killed_in_the_middle_leaves_nothing_half_done(
    here: Place, server: EmbeddingServer, valkey_url: str, store_url: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    made = await here.store.collections.create("killed", by(), tenant=TENANT)
    sent = await upload(here, "long.txt", words(300, "long"))
    # Four batches are one write of vectors; the fifth is never answered.
    server.holds = ("small", 4)
    await here.worker.drain(5.0)
    given = {**settings, "artifacts_url": str(tmp_path / "artifacts")}
    command = [sys.executable, "-m", "tests.support.documents_worker", orjson.dumps(given).decode()]
    victim = await asyncio.create_subprocess_exec(*command, valkey_url, store_url, cwd=REPOSITORY)
    try:
        job = await here.submit(collection=made.id, uploads=[sent])
        await asyncio.wait_for(server.held.wait(), 40)
        (document,) = (await here.store.collected.page(made.id, tenant=TENANT)).items
        (found, *_) = await ask(here, made.id, '"long paragraph 299"')
        assert (document.status, found.document_id) == ("extracted", document.id)
        half = await counted(here, made.id)
        assert (half["passages"], half["small"]) == (document.chunk_count, 256)
    finally:
        victim.kill()
        await victim.wait()
    server.released.set()
    async with place(valkey_url, store_url, tmp_path, flow=flow, **settings) as other:
        assert (await other.ended(job)).status == "succeeded"
        assert await counted(other, made.id) == {"passages": half["passages"], "small": half["passages"]}
        (after,) = (await other.store.collected.page(made.id, tenant=TENANT)).items
        assert (after.status, after.chunk_count) == ("indexed", half["passages"])
        answered = server.texts("small")
        assert [one for one in answered[:256] if one in answered[256:]] == [], "what was kept is not asked again"
        await erase(other, made.id)
