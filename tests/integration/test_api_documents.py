"""Collections, uploads, documents and search over HTTP, with a real worker behind."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from consumers.documents.flow import flow
from consumers.maintenance.erase import erase
from consumers.maintenance.yard import Yard
from schemas.maintenance import Order
from streams.erase import Erasures
from tests.support.api_place import ApiPlace, api_place
from tests.support.kept import archived, everything, history_has_read
from tests.support.office_files import docx_file, pdf_file, pptx_file


@pytest.fixture
async def place(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path, tenant: str
) -> AsyncIterator[ApiPlace]:
    async with api_place(valkey_url, store_url, namespace, tmp_path, more=(flow,)) as running:
        await running.become(tenant)
        yield running


async def upload(place: ApiPlace, *files: tuple[str, bytes]) -> list[dict[str, Any]]:
    form = aiohttp.FormData()
    for name, body in files:
        form.add_field("files", body, filename=name)
    answer = await place.call("POST", "uploads", data=form)
    assert answer.status == 201, answer.body
    items: list[dict[str, Any]] = answer.body["items"]
    return items


async def indexed(place: ApiPlace, collection: str, *files: tuple[str, bytes], **spec: Any) -> dict[str, Any]:
    uploads = [one["upload_id"] for one in await upload(place, *files)] if files else []
    job = {"flow": "documents", "spec": {"collection": collection, "uploads": uploads, **spec}}
    accepted = await place.call("POST", "jobs", job)
    assert accepted.status == 202, accepted.body
    ended = await place.ended(accepted.body["job_id"])
    assert ended["status"] == "succeeded", ended
    result: dict[str, Any] = (await place.call("GET", f"jobs/{ended['job_id']}/result")).body["result"]
    return result


async def search(place: ApiPlace, collection: str, query: str, **more: Any) -> list[dict[str, Any]]:
    answer = await place.call("POST", f"collections/{collection}/search", {"query": query, **more})
    assert answer.status == 200, answer.body
    items: list[dict[str, Any]] = answer.body["items"]
    return items


async def shows_the_passage(place: ApiPlace, found: dict[str, Any]) -> None:
    plain = f"{place.url}{found['image'].partition('?')[0]}"
    images = []
    for url in (plain, f"{place.url}{found['image']}"):
        async with place.session.get(url, headers={"Authorization": f"Bearer {place.key}"}) as answer:
            assert (answer.status, answer.content_type) == (200, "image/png")
            images.append(Image.open(io.BytesIO(await answer.read())).convert("RGB"))
    bare, marked = images
    assert bare.size == marked.size
    yellow = [sum(image.getchannel("B").histogram()[:220]) for image in images]
    assert yellow[1] > yellow[0] + 1_000
    path = plain.removeprefix(place.url)
    assert (await place.call("GET", f"{path}?chunk=99")).status == 404


async def test_from_upload_to_passage_and_gone(place: ApiPlace, tenant: str) -> None:
    made = await place.call("POST", "collections", {"name": "mill"})
    assert (made.status, made.headers["location"]) == (201, f"/api/v1/collections/{made.body['id']}")
    annals = pdf_file(["The wheel turns eastward", "Barley was dear in 1871", "The wheel turned westward"])
    async with place.worker():
        done = await indexed(place, "mill", ("lease.docx", docx_file()), ("annals.pdf", annals))
        assert len(done["documents"]) == 2
        (first, *_) = await search(place, "mill", "Barley was dear")
        assert (first["document"], first["first_page"], first["found_by"][0]) == ("annals.pdf", 1, "exact")
        start, end = first["highlights"][0]
        assert first["text"][start:end] == "Barley was dear"
        assert first["image"] == f"/api/v1/documents/{first['document_id']}/pages/1.png?chunk=0"
        await shows_the_passage(place, first)
        text = (await place.call("GET", f"documents/{first['document_id']}/text")).body
        assert text[first["start"] : first["end"]] == first["text"]
        assert [one["document"] for one in await search(place, "mill", "who repairs wheels", kinds=["docx"])] == [
            "lease.docx"
        ]
        assert await search(place, "mill", '"barley was cheap"') == []
        again = await place.call("POST", f"documents/{first['document_id']}/reindex")
        assert (await place.ended(again.body["job_id"]))["status"] == "succeeded"
    logged = (await place.call("GET", f"audit_log?action=collection.search&target={made.body['id']}")).body["items"]
    assert logged[-1]["detail"]["query"] == "Barley was dear"
    assert logged[-1]["detail"]["documents"][0] == first["document_id"]
    document = (await place.call("GET", f"documents/{first['document_id']}")).body
    assert (document["flow"], document["status"], document["pages"]) == ("documents", "indexed", 3)
    chunks = (await place.call("GET", f"documents/{first['document_id']}/chunks?limit=1")).body
    assert chunks["items"][0]["text"] in text
    listed = (await place.call("GET", "collections/mill/documents")).body["items"]
    assert sorted(one["name"] for one in listed) == ["annals.pdf", "lease.docx"]
    assert (await place.call("DELETE", f"documents/{first['document_id']}")).status == 204
    assert not await place.services.blobs.exists(document["sha256"], tenant=tenant)
    assert await search(place, "mill", '"Barley was dear"') == []
    assert (await place.call("GET", f"documents/{first['document_id']}")).status == 404
    assert (await place.call("DELETE", "collections/mill")).status == 204
    assert (await place.call("GET", "collections")).body["items"] == []


async def test_results_to_the_letter_of_before(place: ApiPlace) -> None:
    async with place.worker():
        done = await indexed(place, "mill", ("slides.pptx", pptx_file()))
        document = done["document_id"]
        letters = {"status", "document_id", "text_length", "chunks_created", "embeddings_generated"}
        assert letters <= set(done)
        assert (done["status"], done["chunks_created"]) == ("indexed", done["embeddings_generated"])

        async def task(act: str) -> dict[str, Any]:
            sent = await place.call("POST", f"tasks/documents/{document}/{act}")
            assert (sent.status, sent.body["status"]) == (202, "PENDING"), sent.body
            await place.ended(sent.body["task_id"])
            told: dict[str, Any] = (await place.call("GET", f"tasks/{sent.body['task_id']}")).body
            assert told["status"] == "SUCCESS", told
            result: dict[str, Any] = told["result"]
            return result

        length, chunks = done["text_length"], done["chunks_created"]
        assert await task("extract") == {
            "status": "extracted", "document_id": document, "text_length": length, "chunks_created": chunks,
        }  # fmt: skip
        shown = (await place.call("GET", f"documents/{document}")).body
        assert shown["status"] == "extracted"
        assert await search(place, "mill", "barley harvest"), "found by its words all the same"
        assert await task("embed") == {
            "status": "indexed", "document_id": document, "embeddings_generated": chunks,
        }  # fmt: skip
        assert (await place.call("GET", f"documents/{document}")).body["status"] == "indexed"
        both = await task("process")
        assert (both["status"], both["document_id"], both["chunks_created"]) == ("indexed", document, chunks)
        assert (await place.call("POST", f"tasks/documents/{document}/classify")).status == 404


async def test_of_a_deleted_document_nothing_is_left_anywhere(
    place: ApiPlace, valkey_url: str, tmp_path: Path, tenant: str
) -> None:
    secret, other = b"The quagga was seen at Michaelmas.", b"The wheel turns eastward."
    async with place.worker(with_history=True) as worker:
        sent = await upload(place, ("quagga-report.txt", secret), ("wheel.txt", other))
        ids = [one["upload_id"] for one in sent]
        done = await indexed(place, "mill", uploads=ids)
        gone = next(one["document_id"] for one in done["documents"] if one["name"] == "quagga-report.txt")
        again = await place.call("POST", f"documents/{gone}/reindex")
        await place.ended(again.body["job_id"])
        await history_has_read(worker)
        await archived(worker, valkey_url)
        words = (gone.encode(), sent[0]["sha256"].encode(), ids[0].encode(), b"quagga-report.txt", secret)

        async def places() -> dict[bytes, set[str]]:
            kept = await everything(worker.client, worker.keys.namespace, place.services.store, tmp_path)
            return {word: {name for name, body in kept.items() if word in body} for word in words}

        before = await places()
        assert all(before.values())
        assert any("lifecycle" in name for name in before[gone.encode()])
        assert any("archive" in name for name in before[gone.encode()])
        assert (await place.call("DELETE", f"documents/{gone}")).status == 204
        await Erasures(place.services.log, place.services.blobs.chunks).carry_out()
        yard = Yard(
            Order(chore="erase"), datetime.now(UTC) + timedelta(hours=1), worker.jobs, place.settings,
            lambda: place.services.store, lambda: place.services.blobs,
        )  # fmt: skip
        assert (await erase(yard)).counts["open"] == 0
        left = await places()
        # The audit log says that it was deleted, by its id.
        assert {word: names for word, names in left.items() if names} == {gone.encode(): {"audit_log"}}
        assert [one["document"] for one in await search(place, "mill", "wheel turns eastward")] == ["wheel.txt"]


async def test_walls_between_tenants(place: ApiPlace) -> None:
    made = (await place.call("POST", "collections", {"name": "ours"})).body
    async with place.worker():
        done = await indexed(place, "ours", ("slides.pptx", pptx_file()))
    document = done["documents"][0]["document_id"]
    sent = (await upload(place, ("a.txt", b"ours alone")))[0]["upload_id"]
    await place.become("somebody-else")
    for method, path in (
        ("GET", f"collections/{made['id']}"),
        ("GET", f"collections/{made['id']}/documents"),
        ("POST", f"collections/{made['id']}/search"),
        ("DELETE", f"collections/{made['id']}"),
        ("GET", f"documents/{document}"),
        ("GET", f"documents/{document}/text"),
        ("GET", f"documents/{document}/chunks"),
        ("GET", f"documents/{document}/pages/1.png?chunk=0"),
        ("POST", f"collections/{made['id']}/answer"),
        ("POST", f"documents/{document}/reindex"),
        ("DELETE", f"documents/{document}"),
    ):
        bodies = {"search": {"query": "barley"}, "answer": {"question": "barley?"}}
        body = bodies.get(path.rpartition("/")[2])
        assert (await place.call(method, path, body)).status == 404, (method, path)
    async with place.worker():
        job = {"flow": "documents", "spec": {"collection": "theirs", "uploads": [sent]}}
        ended = await place.ended((await place.call("POST", "jobs", job)).body["job_id"])
    assert ended["status"] == "partial"
    result = (await place.call("GET", f"jobs/{ended['job_id']}/result")).body
    assert "unknown_upload" in str(result["missing"])


async def test_a_legal_hold_keeps_everything(place: ApiPlace) -> None:
    held = {"name": "held", "settings": {"legal_hold": True}}
    await place.call("POST", "collections", held)
    async with place.worker():
        done = await indexed(place, "held", ("slides.pptx", pptx_file()))
    document = done["documents"][0]["document_id"]
    for path in (f"documents/{document}", "collections/held"):
        refused = await place.call("DELETE", path)
        assert (refused.status, refused.body["type"]) == (409, "/problems/legal-hold")
    assert (await place.call("PUT", "collections/held", {"name": "held"})).status == 200
    assert (await place.call("DELETE", "collections/held")).status == 204


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"\x89PNG\r\n\x1a\n", 422, "is an image"),
        (b"", 422, "empty"),
        (b"\x1f\x8b", 422, "archive"),
        (b"words", 201, None),
    ],
)
async def test_an_upload_is_judged_at_once(place: ApiPlace, body: bytes, status: int, says: str | None) -> None:
    answer = await place.call(
        "POST", "uploads?name=notes.txt", data=body, headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.status == status
    assert says is None or says in answer.body["detail"]


async def test_bad_requests_say_what_to_do(place: ApiPlace) -> None:
    await place.call("POST", "collections", {"name": "mill"})
    taken = await place.call("POST", "collections", {"name": "mill"})
    assert (taken.status, taken.body["type"]) == (409, "/problems/name-taken")
    endpoint = {"name": "x", "settings": {"embedding": {"provider": "endpoint"}}}
    missing = await place.call("POST", "collections", endpoint)
    assert missing.status == 422
    assert "MILLRACE_EMBEDDING_BASE_URL" in missing.body["detail"]
    overlap = await place.call("POST", "collections", {"name": "y", "settings": {"overlap_chars": 3_000}})
    assert overlap.status == 422
    when = await place.call("POST", "collections/mill/search", {"query": "x", "since": "yesterday"})
    assert when.status == 422
    nothing = await place.call("POST", "jobs", {"flow": "documents", "spec": {"collection": "mill"}})
    assert nothing.status == 422
    assert "source" in nothing.body["detail"]
