"""Files become passages that are found: through a real worker, Valkey and PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumers.documents.flow import flow
from consumers.store.searching import Filters
from consumers.testing import serve
from schemas.documents import DocumentsResult
from tests.support.flow_place import TENANT, Place, place
from tests.support.office_files import docx_file, pdf_file, pptx_file


@pytest.fixture
async def here(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with place(
        valkey_url, store_url, tmp_path, flow=flow, namespace=namespace, allow_hosts=("127.0.0.0/8",)
    ) as running:
        yield running


async def result(here: Place, job_id: str) -> DocumentsResult:
    kept = await here.store.results.get(job_id, tenant=TENANT)
    assert kept is not None
    return DocumentsResult.model_validate(kept.payload)


async def upload(here: Place, name: str, body: bytes) -> str:
    artifact = await here.worker.resources.blobs.put(body, tenant=TENANT, content_type="application/octet-stream")
    return (await here.store.collections.put_upload(name, artifact.sha256, len(body), "pdf", tenant=TENANT)).id


async def test_uploads_are_indexed_once_and_found(here: Place, namespace: str) -> None:
    lease = await upload(here, "lease.docx", docx_file())
    again = await upload(here, "copy of lease.docx", docx_file())
    slides = await upload(here, "harvest.pptx", pptx_file())
    record = await here.run(collection=namespace, uploads=[lease, again, slides])
    assert record.status == "succeeded"
    done = await result(here, record.job_id)
    assert {one.name for one in done.documents} <= {"lease.docx", "copy of lease.docx", "harvest.pptx"}
    assert done.embedding == "hashed-ngrams-1024"
    assert done.chunks_created == done.embeddings_generated
    listed = await here.store.collected.page(done.collection_id, tenant=TENANT)
    assert sorted(one.status for one in listed.items) == ["indexed"] * len(listed.items)
    found = await here.store.searching.by_words(
        done.collection_id, {"repairing": 1.0, "water": 1.0, "wheels": 1.0}, Filters(), tenant=TENANT
    )
    first = (await here.store.searching.load(found[:1], tenant=TENANT))[found[0]]
    assert "water wheel in repair" in first.passage.text
    unchanged = await result(here, (await here.run(collection=namespace, uploads=[slides])).job_id)
    assert [(one.status, one.chunks_created) for one in unchanged.documents] == [("unchanged", 0)]


async def test_a_site_is_read_within_its_folder(here: Place, namespace: str) -> None:
    pages: dict[str, str | bytes] = {
        "/docs/": '<title>Docs</title><p>All about millstones.</p><a href="wheel.html">Wheel</a>'
        '<a href="plan.pdf">Plan</a><a href="/private/">Private</a>',
        "/docs/wheel.html": "<title>Wheel</title><p>The wheel turns eastward.</p>",
        "/docs/plan.pdf": pdf_file(["The plan of the weir"]),
        "/private/": "<p>not to be read</p>",
    }
    async with serve(pages) as url:
        record = await here.run(collection=namespace, site=f"{url}docs/")
    done = await result(here, record.job_id)
    assert sorted(one.url.removeprefix(url.rstrip("/")) for one in done.documents if one.url) == [
        "/docs/", "/docs/plan.pdf", "/docs/wheel.html",
    ]  # fmt: skip


async def test_what_cannot_be_read_is_missing_with_its_reason(here: Place, namespace: str) -> None:
    photo = await upload(here, "photo.pdf", b"\x89PNG\r\n\x1a\n")
    lease = await upload(here, "lease.docx", docx_file())
    record = await here.run(collection=namespace, uploads=[photo, lease, "up-unknown"])
    assert record.status == "partial"
    errors = await here.errors(record.job_id)
    assert sorted(error.partition(":")[0] for error in errors) == ["unknown_upload", "unsupported_type"]
    listed = await here.store.collected.page((await result(here, record.job_id)).collection_id, tenant=TENANT)
    assert {one.name: one.status for one in listed.items} == {"photo.pdf": "refused", "lease.docx": "indexed"}
