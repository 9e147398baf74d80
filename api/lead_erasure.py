"""Erasing people: from the lead book, from every other table, from kept files, and from the log and its archive."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.leads import no_such
from consumers.leads.needles import Needles
from schemas.leads import PICTURE_NAME
from streams.blobs import BlobNotFound
from streams.erase import Erasure, Erasures
from streams.mentions import LEAST_CHARS, Mentions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.services import Services

AT_ONCE: Final = 8
"""Files that are read at a time."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was erased.

    Attributes:
        leads: Ids of those that are gone.
        erasure_id: Of what is left for the chore ``erase``: the log, once its readers have read it, and the archive.
    """

    leads: tuple[str, ...]
    erasure_id: str


async def erase_lead(services: Services, lead_id: str, tenant: str, actor: str) -> Told:
    """Erase a lead and keep it out from now on; the audit log keeps its id only.

    Raises:
        Problem: The tenant has no such one.
    """
    told = await _erase(services, [lead_id], Needles(), (), tenant, actor)
    if not told.leads:
        raise no_such(lead_id)
    return told


async def erase_by(services: Services, key: str, tenant: str, actor: str) -> Told:
    """Erase whoever has an e-mail address (``e:``), a phone number (``c:``) or a domain (``d:``), and keep it out."""
    found = await services.store.lead_erasure.having(key, tenant=tenant)
    keys = (key, f"p:{key[2:]}") if key.startswith("c:") else (key,)
    return await _erase(services, found, Needles.of_keys([key]), keys, tenant, actor)


async def _erase(
    services: Services, lead_ids: list[str], needles: Needles, keys: tuple[str, ...], tenant: str, actor: str
) -> Told:
    erasure = services.store.lead_erasure
    seal = await services.store.lead_suppressions.seal(services.settings, services.blobs)
    # Kept out first: what runs now and would bring it back sees it.
    await erasure.suppress(keys, tenant=tenant, seal=seal)
    gone = await erasure.leads(lead_ids, tenant=tenant, seal=seal)
    if not gone.leads and not needles:
        return Told((), "")
    needles |= gone.needles
    await erasure.strip(needles, tenant=tenant)
    await _drop(services, gone.digests, tenant)
    await _drop_pages(services, needles, tenant)
    await _clean_uploads(services, needles, tenant)
    await erasure.rows(needles, tenant=tenant)
    words = tuple(word for word in needles.words if len(word) >= LEAST_CHARS)
    erasure_id = ""
    if words:
        await services.store.erasing.erase(sorted(gone.jobs), Mentions(words), tenant=tenant)
        asked = Erasure(tenant=tenant, words=words)
        erasure_id = await Erasures(services.log, services.blobs.chunks).ask(asked)
    for lead_id in gone.leads:
        await services.store.audit.record(actor, "lead.erase", lead_id, tenant=tenant)
    return Told(gone.leads, erasure_id)


async def _drop(services: Services, digests: Iterable[str], tenant: str) -> None:
    for sha256 in digests:
        await services.blobs.delete(sha256, tenant=tenant)


async def _drop_pages(services: Services, needles: Needles, tenant: str) -> None:
    """Remove the pages that tell of them, and every picture of a listing: nobody can tell whom it shows."""
    kept = await services.store.lead_erasure.pages(tenant=tenant)
    gate = asyncio.Semaphore(AT_ONCE)

    async def tells(name: str, sha256: str) -> bool:
        if name.startswith(PICTURE_NAME):
            return True
        async with gate:
            try:
                body = await services.blobs.read(sha256, tenant=tenant)
            except BlobNotFound:
                return True
            return await asyncio.to_thread(needles.reach_in, body)

    telling = await asyncio.gather(*(tells(*one) for one in kept))
    digests = {sha256 for (_, sha256), tells_it in zip(kept, telling, strict=True) if tells_it}
    if digests:
        await _drop(services, await services.store.lead_erasure.drop_pages(digests, tenant=tenant), tenant)


async def _clean_uploads(services: Services, needles: Needles, tenant: str) -> None:
    """Take the lines that tell of them out of uploaded lists of businesses."""
    erasure = services.store.lead_erasure
    for upload_id, sha256 in await erasure.uploads(tenant=tenant):
        try:
            body = await services.blobs.read(sha256, tenant=tenant)
        except BlobNotFound:
            continue
        if not needles.reach_in(body):
            continue
        left = b"".join(line for line in body.splitlines(keepends=True) if not needles.reach_in(line))
        kept = await services.blobs.put(left, tenant=tenant, content_type="text/csv")
        before = await erasure.replace_upload(upload_id, kept.sha256, kept.size_bytes, tenant=tenant)
        await _drop(services, before, tenant)
