"""Who was erased and stays out, as sealed hashes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert

from consumers.leads.identity import Seal
from consumers.store.models import LeadSuppression
from streams.blobs import BlobNotFound

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.store.database import Database
    from schemas.settings import Settings
    from streams.blobs import Blobs

CHUNK: Final = "secrets/suppression"
"""Where the secret is in the artifact store, when the operator names none: never beside the hashes."""

SECRET_BYTES: Final = 32
_AT_A_TIME: Final = 5_000


class LeadSuppressions:
    """The suppression lists of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seal: Seal | None = None

    async def seal(self, settings: Settings, blobs: Blobs) -> Seal:
        """The installation's seal: by the operator's secret, else by one that is made once."""
        if settings.suppression_key is not None:
            return Seal(settings.suppression_key.get_secret_value().encode())
        if self._seal is None:
            async with self._database.locked("lead suppression secret"):
                try:
                    secret = await blobs.chunks.get_raw(CHUNK)
                except BlobNotFound:
                    secret = secrets.token_bytes(SECRET_BYTES)
                    await blobs.chunks.put_raw(CHUNK, secret)
            self._seal = Seal(secret)
        return self._seal

    async def has_any(self, *, tenant: str) -> bool:
        """Whether anybody was erased."""
        async with self._database.begin() as session:
            return bool(await session.scalar(select(exists().where(LeadSuppression.tenant == tenant))))

    async def erased(self, keys: Collection[str], *, tenant: str, seal: Seal) -> frozenset[str]:
        """Those of these keys that were erased; see `consumers.leads.identity.erased_keys`."""
        async with self._database.begin() as session:
            return await erased_of(session, keys, tenant, seal)


async def erased_of(session: AsyncSession, keys: Collection[str], tenant: str, seal: Seal) -> frozenset[str]:
    """Those of these keys that were erased."""
    by_hash = {seal.of(tenant, key): key for key in keys}
    hashes = list(by_hash)
    found: set[str] = set()
    for begin in range(0, len(hashes), _AT_A_TIME):
        query = select(LeadSuppression.hash).where(
            LeadSuppression.tenant == tenant, LeadSuppression.hash.in_(hashes[begin : begin + _AT_A_TIME])
        )
        found.update(by_hash[one] for one in await session.scalars(query))
    return frozenset(found)


async def suppress(session: AsyncSession, keys: Collection[str], tenant: str, seal: Seal) -> None:
    """Keep these keys out from now on."""
    rows = [{"tenant": tenant, "hash": seal.of(tenant, key)} for key in keys]
    if rows:
        await session.execute(insert(LeadSuppression).values(rows).on_conflict_do_nothing())
