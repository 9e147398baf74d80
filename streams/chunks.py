"""What the log puts aside in the artifact store: archive segments, spilled frontiers, claim checks.

Raw chunks are ``system/<key>``; a claim check is ``claims/<tenant>/<sha[:2]>/<sha>``, and for a day after it was
swept ``dropped/<day>/<tenant>/<sha>``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import zstandard

from streams.objects import (
    BlobCorrupt,
    BlobNotFound,
    BlobTooLarge,
    Stored,
    checked_digest,
    checked_tenant,
    sha256_of,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.objects import Objects

CLAIM_OVER_BYTES: Final = 64 * 1024
"""A payload larger than this leaves the entry and is replaced by its digest."""

MAX_CLAIM_BYTES: Final = 256 * 1024 * 1024
"""Most bytes a claim check may have when unpacked."""

_DROPPED: Final = "dropped"
"""Folder of claim checks that a sweep removed lately, by day."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=@:-]*(/[A-Za-z0-9][A-Za-z0-9._=@:-]*)*")


class Chunks:
    """What the log puts aside: archive segments, spilled frontiers, claim checks.

    Every method raises `TransientError` with reason ``artifact_store_unavailable`` when the store does not answer,
    and `ValueError` for a key, digest or tenant that could leave its folder.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def put_raw(self, key: str, body: bytes) -> None:
        """Keep `body` as ``system/<key>``, replacing what was there at once.

        Args:
            key: Names joined by ``/``; each begins with a letter or digit.
            body: The bytes.
        """
        await self._objects.put(_chunk_path(key), body)

    async def get_raw(self, key: str) -> bytes:
        """The bytes of a chunk.

        Raises:
            BlobNotFound: There is none.
        """
        return await self._objects.get(_chunk_path(key), f"chunk {key}")

    async def delete_raw(self, key: str) -> None:
        """Remove a chunk; nothing happens when it is not there."""
        await self._objects.delete(_chunk_path(key))

    async def list_raw(self, folder: str = "") -> AsyncIterator[Stored]:
        """Chunks under a folder of keys, in no order."""
        async for stored in self._objects.list(_chunk_path(folder) if folder else "system"):
            yield Stored(stored.key.removeprefix("system/"), stored.size_bytes, stored.modified_at)

    async def folders_raw(self, folder: str) -> list[str]:
        """The names of the folders of keys right under one, sorted."""
        return await self._objects.folders(_chunk_path(folder))

    async def keep_claim(self, sha256: str, *, tenant: str) -> bool:
        """Make a claim check young, as putting it again would; False when there is none."""
        path = _claim_path(sha256, tenant)
        if await self._objects.is_fresh(path):
            return True
        try:
            body = await self._body(sha256, tenant)
        except BlobNotFound:
            return False
        await self._objects.put(path, body)
        return True

    async def drop_claim(self, sha256: str, *, tenant: str, older_than: datetime) -> bool:
        """Put a claim check aside, to be gone for good after a while; reading it brings it back.

        Args:
            sha256: Its digest.
            tenant: Whose.
            older_than: False is answered, and nothing done, when it was put again after that.
        """
        path = _claim_path(sha256, tenant)
        modified_at = await self._objects.modified_at(path)
        if modified_at is None or modified_at > older_than:
            return False
        await self._objects.move(path, f"{_DROPPED}/{datetime.now(UTC):%Y-%m-%d}/{tenant}/{sha256}")
        return True

    async def empty_dropped(self, *, before: datetime) -> int:
        """Remove for good what was put aside on a day that was over by then; answers how many."""
        count = 0
        for day in await self._objects.folders(_DROPPED):
            if day >= f"{before:%Y-%m-%d}":
                break
            async for stored in self._objects.list(f"{_DROPPED}/{day}"):
                await self._objects.delete(stored.key)
                count += 1
        return count

    async def has_claim(self, sha256: str) -> bool:
        """Whether some tenant has a claim check."""
        for tenant in await self.claim_tenants():
            if await self._objects.modified_at(_claim_path(sha256, tenant)) is not None:
                return True
        return False

    async def _body(self, sha256: str, tenant: str) -> bytes:
        path, name = _claim_path(sha256, tenant), f"claim check {sha256}"
        try:
            return await self._objects.get(path, name)
        except BlobNotFound:
            for day in reversed(await self._objects.folders(_DROPPED)):
                dropped = f"{_DROPPED}/{day}/{tenant}/{sha256}"
                if await self._objects.modified_at(dropped) is not None:
                    body = await self._objects.get(dropped, name)
                    await self._objects.put(path, body)
                    return body
            raise

    async def claim_tenants(self) -> list[str]:
        """The tenants that have claim checks."""
        return await self._objects.folders("claims")

    async def put_claim(self, payload: bytes, *, tenant: str) -> str:
        """Keep a payload zstd-compressed and return its digest, which takes its place in the entry.

        Raises:
            BlobTooLarge: More than `MAX_CLAIM_BYTES`.
        """
        if len(payload) > MAX_CLAIM_BYTES:
            raise BlobTooLarge(MAX_CLAIM_BYTES)
        sha256 = await self._objects.run(sha256_of, payload)
        path = _claim_path(sha256, tenant)
        if not await self._objects.is_fresh(path):
            await self._objects.put(path, await self._objects.run(zstandard.compress, payload))
        return sha256

    async def get_claim(self, sha256: str, *, tenant: str) -> bytes:
        """The payload of a claim check, its digest verified.

        Raises:
            BlobNotFound: Not under this tenant.
            BlobCorrupt: It does not unpack, or the digest is another.
        """
        body = await self._body(sha256, tenant)
        payload = await self._objects.run(_unpack, body, sha256)
        await self._objects.run(verify, payload, sha256, f"claim check {sha256}")
        return payload

    async def delete_claim(self, sha256: str, *, tenant: str) -> None:
        """Remove a claim check for good, also one that was put aside; nothing happens when it is not there."""
        await self._objects.delete(_claim_path(sha256, tenant))
        for day in await self._objects.folders(_DROPPED):
            await self._objects.delete(f"{_DROPPED}/{day}/{tenant}/{sha256}")

    async def list_claims(self, *, tenant: str) -> AsyncIterator[Stored]:
        """Claim checks of a tenant by digest, with their compressed size, in no order."""
        async for stored in self._objects.list(f"claims/{checked_tenant(tenant)}"):
            yield Stored(stored.key.rpartition("/")[2], stored.size_bytes, stored.modified_at)


def _unpack(body: bytes, sha256: str) -> bytes:
    try:
        if zstandard.frame_content_size(body) > MAX_CLAIM_BYTES:
            raise BlobCorrupt(f"claim check {sha256}", f"it would unpack to more than {MAX_CLAIM_BYTES} bytes")
        return zstandard.decompress(body, max_output_size=MAX_CLAIM_BYTES)
    except zstandard.ZstdError as error:
        raise BlobCorrupt(f"claim check {sha256}", str(error)) from error


def _claim_path(sha256: str, tenant: str) -> str:
    return f"claims/{checked_tenant(tenant)}/{checked_digest(sha256)[:2]}/{sha256}"


def _chunk_path(key: str) -> str:
    if len(key) > 500 or not _KEY.fullmatch(key):  # noqa: PLR2004 - S3 allows 1,024 bytes, the prefix included
        raise ValueError(f"{key[:80]!r} cannot be a chunk's key: names of letters, digits and . _ = @ : - joined by /")
    return f"system/{key}"
