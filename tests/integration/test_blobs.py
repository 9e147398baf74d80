"""Artifacts and chunks on a folder and on an S3 server."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from streams.blobs import BlobCorrupt, BlobNotFound, Blobs, BlobTooLarge
from streams.chunks import CLAIM_OVER_BYTES
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PDF = "application/pdf"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if "Running on" in line:
                endpoint = line.rpartition(" ")[2].strip()
                break
        else:
            pytest.fail("moto's server did not start")
        make = urllib.request.Request(f"{endpoint}/artifacts", method="PUT")  # noqa: S310 - loopback
        urllib.request.urlopen(make, timeout=10).close()  # noqa: S310 - loopback
        yield endpoint
        server.kill()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture(params=["folder", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    location = str(tmp_path / "artifacts")
    if request.param == "s3":
        endpoint = request.getfixturevalue("s3_endpoint")
        request.getfixturevalue("aws")
        request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", endpoint)
        location = f"s3://artifacts/{hashlib.sha256(request.node.name.encode()).hexdigest()}"
    async with Blobs.open(location) as opened:
        yield opened


def only_file(folder: Path) -> Path:
    [file] = [path for path in folder.rglob("*") if path.is_file()]
    return file


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_bytes_come_back_by_their_digest(blobs: Blobs) -> None:
    artifact = await blobs.put(b"annual report", tenant="acme", content_type=PDF)
    assert artifact.sha256 == hashlib.sha256(b"annual report").hexdigest()
    assert (artifact.size_bytes, artifact.content_type) == (13, PDF)
    assert await blobs.read(artifact.sha256, tenant="acme") == b"annual report"
    assert await blobs.size(artifact.sha256, tenant="acme") == 13
    assert await blobs.exists(artifact.sha256, tenant="acme")


@pytest.mark.parametrize("count", [0, 1, 3, 50])
async def test_an_iterator_is_kept_whole(blobs: Blobs, count: int) -> None:
    parts = [bytes([number]) * 300_000 for number in range(count)]
    artifact = await blobs.put(pieces(*parts), tenant="acme", content_type=PDF)
    body = b"".join(parts)
    assert artifact.sha256 == hashlib.sha256(body).hexdigest()
    assert artifact.size_bytes == len(body)
    assert await blobs.read(artifact.sha256, tenant="acme") == body
    assert b"".join([piece async for piece in blobs.stream(artifact.sha256, tenant="acme")]) == body


async def test_another_tenant_sees_nothing(blobs: Blobs) -> None:
    sha256 = (await blobs.put(b"secret", tenant="acme", content_type=PDF)).sha256
    assert not await blobs.exists(sha256, tenant="rival")
    with pytest.raises(BlobNotFound, match=sha256):
        await blobs.read(sha256, tenant="rival")
    with pytest.raises(BlobNotFound):
        [piece async for piece in blobs.stream(sha256, tenant="rival")]
    assert [stored async for stored in blobs.list(tenant="rival")] == []


async def test_listing_by_the_beginning_of_a_digest(blobs: Blobs) -> None:
    digests = {(await blobs.put(f"{number}".encode(), tenant="acme", content_type=PDF)).sha256 for number in range(20)}
    assert {stored.key async for stored in blobs.list(tenant="acme")} == digests
    wanted = min(digests)
    for length in (1, 2, 5, 64):
        found = {stored.key async for stored in blobs.list(wanted[:length], tenant="acme")}
        assert found == {digest for digest in digests if digest.startswith(wanted[:length])}


async def test_deleting_twice_is_deleting_once(blobs: Blobs) -> None:
    sha256 = (await blobs.put(b"gone", tenant="acme", content_type=PDF)).sha256
    await blobs.delete(sha256, tenant="acme")
    await blobs.delete(sha256, tenant="acme")
    assert not await blobs.exists(sha256, tenant="acme")


@pytest.mark.parametrize("streamed", [False, True])
async def test_too_many_bytes_leave_nothing(blobs: Blobs, *, streamed: bool) -> None:
    data = pieces(b"x" * 600_000, b"y" * 600_000) if streamed else b"x" * 1_200_000
    with pytest.raises(BlobTooLarge, match="1000000"):
        await blobs.put(data, tenant="acme", content_type=PDF, max_bytes=1_000_000)
    assert [stored async for stored in blobs.list(tenant="acme")] == []


async def test_a_broken_source_leaves_nothing_and_its_error_passes(blobs: Blobs) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise ConnectionResetError("peer left")

    with pytest.raises(ConnectionResetError, match="peer left"):
        await blobs.put(broken(), tenant="acme", content_type=PDF)
    assert [stored async for stored in blobs.list(tenant="acme")] == []


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "a" * 60 + "/../"])
async def test_only_digests_are_looked_up(blobs: Blobs, digest: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        await blobs.read(digest, tenant="acme")


@pytest.mark.parametrize("tenant", ["", "..", "../acme", "a/b", ".hidden", "acme\n", "a" * 200])
async def test_a_tenant_stays_in_its_folder(blobs: Blobs, tenant: str) -> None:
    with pytest.raises(ValueError, match="cannot be a tenant"):
        await blobs.put(b"x", tenant=tenant, content_type=PDF)


async def test_chunks_are_replaced_listed_and_removed(blobs: Blobs) -> None:
    chunks = blobs.chunks
    await chunks.put_raw("archive/0/0001.zst", b"one")
    await chunks.put_raw("archive/0/0001.zst", b"two")
    await chunks.put_raw("frontier/0/job/1", b"three")
    assert await chunks.get_raw("archive/0/0001.zst") == b"two"
    assert {stored.key async for stored in chunks.list_raw()} == {"archive/0/0001.zst", "frontier/0/job/1"}
    assert [stored.key async for stored in chunks.list_raw("archive")] == ["archive/0/0001.zst"]
    await chunks.delete_raw("frontier/0/job/1")
    await chunks.delete_raw("frontier/0/job/1")
    with pytest.raises(BlobNotFound, match="frontier"):
        await chunks.get_raw("frontier/0/job/1")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../tenants/acme", "a//b", "a/../b", "a/", "a\n", "x" * 600])
async def test_a_chunk_stays_in_its_folder(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="chunk's key"):
        await blobs.chunks.put_raw(key, b"x")


async def test_a_claim_check_is_compressed_and_its_tenant_s_own(blobs: Blobs) -> None:
    payload = b'{"rows": "' + b"net sales " * CLAIM_OVER_BYTES + b'"}'
    sha256 = await blobs.chunks.put_claim(payload, tenant="acme")
    assert await blobs.chunks.put_claim(payload, tenant="acme") == sha256
    assert await blobs.chunks.get_claim(sha256, tenant="acme") == payload
    [stored] = [stored async for stored in blobs.chunks.list_claims(tenant="acme")]
    assert stored.key == sha256
    assert stored.size_bytes < len(payload) / 100
    with pytest.raises(BlobNotFound, match="claim check"):
        await blobs.chunks.get_claim(sha256, tenant="rival")
    await blobs.chunks.delete_claim(sha256, tenant="acme")
    with pytest.raises(BlobNotFound, match="claim check"):
        await blobs.chunks.get_claim(sha256, tenant="acme")


async def test_damage_is_noticed_when_read(tmp_path: Path) -> None:
    blobs = Blobs.open(tmp_path)
    artifact = await blobs.put(b"annual report", tenant="acme", content_type=PDF)
    file = only_file(tmp_path)
    file.write_bytes(b"Annual report")
    with pytest.raises(BlobCorrupt, match=artifact.sha256):
        await blobs.read(artifact.sha256, tenant="acme")
    with pytest.raises(BlobCorrupt, match=artifact.sha256):
        [piece async for piece in blobs.stream(artifact.sha256, tenant="acme")]


@pytest.mark.parametrize("damage", [b"", b"not zstd", b"\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff"])
async def test_a_damaged_claim_check_is_noticed(tmp_path: Path, damage: bytes) -> None:
    blobs = Blobs.open(tmp_path)
    sha256 = await blobs.chunks.put_claim(b"x" * CLAIM_OVER_BYTES, tenant="acme")
    file = only_file(tmp_path)
    file.write_bytes(damage)
    with pytest.raises(BlobCorrupt, match=sha256):
        await blobs.chunks.get_claim(sha256, tenant="acme")


async def test_the_same_bytes_are_written_once_and_an_old_copy_anew(tmp_path: Path) -> None:
    blobs = Blobs.open(tmp_path)
    await blobs.put(b"report", tenant="acme", content_type=PDF)
    file = only_file(tmp_path)
    inode = file.stat().st_ino
    await blobs.put(pieces(b"rep", b"ort"), tenant="acme", content_type=PDF)
    assert file.stat().st_ino == inode
    os.utime(file, (0, 0))
    await blobs.put(b"report", tenant="acme", content_type=PDF)
    assert file.stat().st_mtime > 0


async def test_a_store_that_does_not_answer_is_transient(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        blobs = Blobs.open("s3://artifacts/prefix")
        for call in (
            blobs.put(b"x", tenant="acme", content_type=PDF),
            blobs.read("a" * 64, tenant="acme"),
            blobs.exists("a" * 64, tenant="acme"),
            blobs.chunks.put_raw("a", b"x"),
        ):
            with pytest.raises(TransientError, match="s3://artifacts/prefix") as caught:
                await call
            assert caught.value.reason == "artifact_store_unavailable"
            assert "sesame" not in str(caught.value)


async def test_a_missing_bucket_is_not_a_missing_artifact(
    aws: None, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    blobs = Blobs.open("s3://nowhere")
    with pytest.raises(TransientError, match="s3://nowhere"):
        await blobs.put(b"x", tenant="acme", content_type=PDF)
    with pytest.raises(TransientError, match="bucket"):
        await blobs.read("a" * 64, tenant="acme")


@pytest.mark.parametrize("location", ["gs://bucket", "s3://", "s3://key:secret@bucket", "http://127.0.0.1/bucket"])
def test_other_places_are_refused(location: str) -> None:
    with pytest.raises(ValueError, match="folder or s3://bucket/prefix"):
        Blobs.open(location)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="file/artifacts cannot be made"):
        Blobs.open(tmp_path / "file" / "artifacts")


async def test_a_folder_that_went_away_is_transient(tmp_path: Path) -> None:
    blobs = Blobs.open(tmp_path / "mounted")
    (tmp_path / "mounted").rmdir()
    with pytest.raises(TransientError, match="no such bucket or folder"):
        await blobs.read("a" * 64, tenant="acme")
