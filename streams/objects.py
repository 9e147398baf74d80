"""The object store under `streams.blobs` and `streams.chunks`: a folder or an S3 bucket, through obstore.

obstore's coroutines hand their results over from threads of its own, which aborts a process that exits at that
moment, so its blocking calls run in threads of ours. Open a store after a fork, never before: its runtime does not
survive one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

REFRESH_AFTER: Final = timedelta(hours=1)
"""An object older than this is written anew by a `put` of the same bytes, so that a sweep which spares the last day
cannot remove what was put just now."""

CHUNK_BYTES: Final = 1024 * 1024
"""Bytes in memory at a time while streaming, about."""

IN_MEMORY: Final = "memory:"
"""A store of this process alone, gone with it."""

_THREADS: Final = 8
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")


class BlobNotFound(PermanentError):  # noqa: N818 - it names the matter
    """No such bytes under this tenant."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not in the artifact store; it was removed or never put", reason="blob_not_found")


class BlobCorrupt(PermanentError):  # noqa: N818 - it names the matter
    """The bytes in the store are not those that were put."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(
            f"{what} is damaged in the artifact store ({detail}): restore it, or delete it and put it again",
            reason="blob_corrupt",
        )


class BlobTooLarge(PermanentError):  # noqa: N818 - it names the matter
    """More bytes than the caller allowed; nothing was kept."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"more than the allowed {max_bytes} bytes; nothing was kept", reason="too_large")


@dataclass(frozen=True, slots=True)
class Stored:
    """One object in a listing.

    Attributes:
        key: The digest of an artifact, or the key of a chunk.
    """

    key: str
    size_bytes: int
    modified_at: datetime


class Objects:
    """obstore's blocking calls on threads of ours, its errors turned into ours."""

    def __init__(self, store: LocalStore | MemoryStore | S3Store, folder: Path | None, place: str) -> None:
        self._store = store
        self._folder = folder
        self._place = place
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")

    def close(self) -> None:
        """Let the threads go; calls in flight end by their own time limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a blocking call in a thread, the store's failures as `TransientError`."""
        with self._available():
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args, **kwargs))

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            # Nothing can be found where the bucket or the folder itself is gone; that does not make it permanent.
            if "NoSuchBucket" in str(error) or (self._folder is not None and not self._folder.is_dir()):
                raise self._unavailable("there is no such bucket or folder") from error
            raise
        except (BaseError, OSError) as error:
            # The first line says what; what follows is obstore's debug dump.
            raise self._unavailable(str(error).partition("\n")[0][:300]) from error

    def _unavailable(self, cause: str) -> TransientError:
        return TransientError(
            f"artifact store {self._place} failed: {cause}. Check that it is reachable and writable, and the AWS_* "
            "variables if it is S3",
            reason="artifact_store_unavailable",
        )

    async def put(self, path: str, body: bytes | IO[bytes], content_type: str | None = None) -> None:
        """Write an object at once, as a whole or not at all."""
        try:
            await self.run(self._put, path, body, content_type)
        except FileNotFoundError as error:
            raise self._unavailable(f"no place for {path}") from error

    def _put(self, path: str, body: bytes | IO[bytes], content_type: str | None) -> None:
        if self._folder is None:
            attributes = {"Content-Type": content_type} if content_type else None
            obstore.put(self._store, path, body, attributes=attributes, max_concurrency=2)
            return
        obstore.put(self._store, path, body)
        # A rename survives a crash of ours; to survive the machine's, the file and its name must reach the disk.
        place = self._folder / path
        while place != self._folder:
            _sync(place)
            place = place.parent

    async def get(self, path: str, name: str) -> bytes:
        """The bytes, or `BlobNotFound` under `name`."""
        try:
            return await self.run(lambda: bytes(obstore.get(self._store, path).bytes()))
        except FileNotFoundError:
            raise BlobNotFound(name) from None

    async def open(self, path: str, name: str) -> Iterator[Any]:
        """The bytes in pieces, or `BlobNotFound` under `name`."""
        try:
            return await self.run(lambda: iter(obstore.get(self._store, path).stream(min_chunk_size=CHUNK_BYTES)))
        except FileNotFoundError:
            raise BlobNotFound(name) from None

    async def size(self, path: str) -> int | None:
        """Bytes, None when absent."""
        try:
            return (await self.run(obstore.head, self._store, path))["size"]
        except FileNotFoundError:
            return None

    async def modified_at(self, path: str) -> datetime | None:
        """When it was put last, None when absent."""
        try:
            found: datetime = (await self.run(obstore.head, self._store, path))["last_modified"]
        except FileNotFoundError:
            return None
        return found

    async def move(self, path: str, to: str) -> None:
        """Give an object another name; absent is fine."""
        try:
            await self.run(obstore.rename, self._store, path, to)
        except FileNotFoundError:
            return

    async def is_fresh(self, path: str) -> bool:
        """Whether it is there and younger than `REFRESH_AFTER`."""
        try:
            meta = await self.run(obstore.head, self._store, path)
        except FileNotFoundError:
            return False
        return datetime.now(UTC) - meta["last_modified"] < REFRESH_AFTER

    async def delete(self, path: str) -> None:
        """Remove; absent is fine."""
        try:
            await self.run(obstore.delete, self._store, path)
        except FileNotFoundError:
            return

    async def folders(self, folder: str) -> list[str]:
        """The names of the folders right under one, sorted."""
        return await self.run(_folders, self._store, folder)

    async def list(self, folder: str) -> AsyncIterator[Stored]:
        """Objects under a folder, in no order."""
        pages = iter(obstore.list(self._store, folder, chunk_size=1_000))
        while page := await self.run(next, pages, ()):
            for meta in page:
                yield Stored(meta["path"], meta["size"], meta["last_modified"])


def _folders(store: LocalStore | MemoryStore | S3Store, folder: str) -> list[str]:
    found = obstore.list_with_delimiter(store, folder)["common_prefixes"]
    return sorted(str(prefix).rstrip("/").rpartition("/")[2] for prefix in found)


def open_objects(url_or_path: str) -> Objects:
    """Open a folder (made when absent) or ``s3://bucket/prefix``; see `streams.blobs.Blobs.open`."""
    if url_or_path == IN_MEMORY:
        return Objects(MemoryStore(), None, "in memory")
    if "://" not in url_or_path:
        folder = Path(url_or_path).expanduser().absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"artifact folder {folder} cannot be made: {error.strerror}") from error
        return Objects(LocalStore(folder), folder, str(folder))
    parts = urlsplit(url_or_path)
    if parts.scheme != "s3" or not parts.hostname or parts.username or parts.query:
        raise ValueError("the artifact store is a folder or s3://bucket/prefix, with credentials in AWS_* variables")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    store = S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": "5s",
            "read_timeout": "30s",
            "timeout": "30m",
        },
        # The stage's policy retries; here only a dropped connection is worth a second look.
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
    )
    return Objects(store, None, f"s3://{parts.netloc}{parts.path}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(body: bytes) -> str:
    """The digest in lower-case hex."""
    return hashlib.sha256(body).hexdigest()


def verify(body: bytes, sha256: str, name: str) -> None:
    """Raise `BlobCorrupt` when the bytes have another digest."""
    found = sha256_of(body)
    if found != sha256:
        raise BlobCorrupt(name, f"its bytes have the digest {found}")


def checked_tenant(tenant: str) -> str:
    """The tenant, when it can be a folder's name; else `ValueError`."""
    if not _TENANT.fullmatch(tenant):
        raise ValueError(f"{tenant!r} cannot be a tenant: use letters, digits and . _ @ - and begin with one of those")
    return tenant


def checked_digest(sha256: str) -> str:
    """The digest, when it is one; else `ValueError`."""
    if not _DIGEST.fullmatch(sha256):
        raise ValueError(f"{sha256[:80]!r} is not a SHA-256 digest: 64 lower-case hex digits")
    return sha256
