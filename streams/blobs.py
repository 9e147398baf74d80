"""Artifacts: bytes addressed by SHA-256 under their tenant, in a folder or an S3 bucket.

The key is ``tenants/<tenant>/<sha[:2]>/<sha>``. What the log itself puts aside is beside them, in ``blobs.chunks``.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

from streams.chunks import Chunks
from streams.objects import (
    CHUNK_BYTES,
    BlobCorrupt,
    BlobNotFound,
    BlobTooLarge,
    Objects,
    Stored,
    checked_digest,
    checked_tenant,
    open_objects,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType

__all__ = ["Artifact", "BlobCorrupt", "BlobNotFound", "BlobTooLarge", "Blobs", "Chunks", "Stored"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that are in the store.

    Attributes:
        sha256: 64 lower-case hex digits.
    """

    sha256: str
    size_bytes: int
    content_type: str


class Blobs:
    """Artifacts by SHA-256, each readable under its own tenant only.

    Every method raises `TransientError` with reason ``artifact_store_unavailable`` when the store does not answer,
    and `ValueError` for a digest that is not 64 hex digits or a tenant that could leave its folder.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.chunks = Chunks(objects)

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Open a folder (made when absent) or ``s3://bucket/prefix``.

        Nothing is sent yet. Endpoint, region and credentials of S3 come from the standard ``AWS_*`` variables; a
        plain ``http://`` endpoint is used as given.

        Raises:
            ValueError: Another scheme, no bucket, or a folder that cannot be made.
        """
        return cls(open_objects(str(url_or_path)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads go; calls in flight end by their own time limits."""
        self._objects.close()

    async def put(
        self, data: bytes | AsyncIterator[bytes], *, tenant: str, content_type: str, max_bytes: int | None = None
    ) -> Artifact:
        """Keep bytes under their digest. Putting the same bytes again changes nothing.

        An iterator is hashed as it comes, at most 1 MiB of it in memory, the rest in a local temporary file.

        Raises:
            BlobTooLarge: More than `max_bytes`; nothing was kept.
        """
        with _Spool(max_bytes) as spool:
            if isinstance(data, bytes):
                await self._objects.run(spool.write, data)
            else:
                async for piece in data:
                    if spool.take(piece):
                        await self._objects.run(spool.flush)
                await self._objects.run(spool.flush)
            artifact = Artifact(spool.digest.hexdigest(), spool.size_bytes, content_type)
            path = _artifact_path(artifact.sha256, tenant)
            if not await self._objects.is_fresh(path):
                await self._objects.put(path, spool.body(), content_type)
        return artifact

    def path_of(self, sha256: str, *, tenant: str) -> str:
        """Where an artifact is, below the store's folder or prefix."""
        return _artifact_path(sha256, tenant)

    async def read(self, sha256: str, *, tenant: str) -> bytes:
        """The whole artifact, its digest verified.

        Raises:
            BlobNotFound: Not under this tenant.
            BlobCorrupt: The digest is another.
        """
        body = await self._objects.get(_artifact_path(sha256, tenant), _artifact_name(sha256))
        await self._objects.run(verify, body, sha256, _artifact_name(sha256))
        return body

    async def stream(self, sha256: str, *, tenant: str) -> AsyncIterator[bytes]:
        """The artifact in pieces of about 1 MiB.

        Raises:
            BlobNotFound: Not under this tenant.
            BlobCorrupt: After the last piece, when the digest is another: trust nothing before the end.
        """
        digest = hashlib.sha256()
        pieces = await self._objects.open(_artifact_path(sha256, tenant), _artifact_name(sha256))
        while piece := await self._objects.run(next, pieces, b""):
            digest.update(piece)
            yield bytes(piece)
        if digest.hexdigest() != sha256:
            raise BlobCorrupt(_artifact_name(sha256), f"its bytes have the digest {digest.hexdigest()}")

    async def size(self, sha256: str, *, tenant: str) -> int:
        """Size in bytes.

        Raises:
            BlobNotFound: Not under this tenant.
        """
        size_bytes = await self._objects.size(_artifact_path(sha256, tenant))
        if size_bytes is None:
            raise BlobNotFound(_artifact_name(sha256))
        return size_bytes

    async def exists(self, sha256: str, *, tenant: str) -> bool:
        """Whether this tenant has it."""
        return await self._objects.size(_artifact_path(sha256, tenant)) is not None

    async def delete(self, sha256: str, *, tenant: str) -> None:
        """Remove it; nothing happens when it is not there."""
        await self._objects.delete(_artifact_path(sha256, tenant))

    async def list(self, prefix: str = "", *, tenant: str) -> AsyncIterator[Stored]:
        """Artifacts of a tenant, in no order.

        Args:
            prefix: First hex digits of the digests wanted, "" for all.
            tenant: Whose.
        """
        if not re.fullmatch(r"[0-9a-f]{0,64}", prefix):
            raise ValueError(f"{prefix!r} is not the beginning of a SHA-256 digest")
        root = f"tenants/{checked_tenant(tenant)}"
        # The store lists whole path segments; a prefix of one digit cannot name one.
        folder = f"{root}/{prefix[:2]}" if len(prefix) > 1 else root
        async for stored in self._objects.list(folder):
            sha256 = stored.key.rpartition("/")[2]
            if sha256.startswith(prefix):
                yield Stored(sha256, stored.size_bytes, stored.modified_at)


class _Spool:
    """Bytes on their way in: hashed and counted, in memory up to 1 MiB, beyond that in a temporary file."""

    def __init__(self, max_bytes: int | None) -> None:
        self.digest = hashlib.sha256()
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._whole: bytes | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, data: bytes) -> None:
        """Take bytes that are in memory as a whole anyway."""
        self._count(len(data))
        self.digest.update(data)
        self._whole = data

    def take(self, piece: bytes) -> bool:
        """Take a piece; True when `flush` is due."""
        self._count(len(piece))
        self._pending += piece
        return len(self._pending) >= CHUNK_BYTES

    def flush(self) -> None:
        self.digest.update(self._pending)
        if self._file is None:
            if self.size_bytes < CHUNK_BYTES:
                self._whole = bytes(self._pending)
                return
            self._file = tempfile.TemporaryFile(prefix="millrace-")  # noqa: SIM115 - closed by __exit__
        self._file.write(self._pending)
        self._pending.clear()

    def body(self) -> bytes | IO[bytes]:
        if self._file is None:
            return self._whole or b""
        self._file.seek(0)
        return self._file

    def _count(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        if self._max_bytes is not None and self.size_bytes > self._max_bytes:
            raise BlobTooLarge(self._max_bytes)


def _artifact_name(sha256: str) -> str:
    return f"artifact {sha256}"


def _artifact_path(sha256: str, tenant: str) -> str:
    return f"tenants/{checked_tenant(tenant)}/{checked_digest(sha256)[:2]}/{sha256}"
