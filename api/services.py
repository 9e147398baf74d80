"""What the routes share: connections and clients, opened with the application and closed with it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.keys import ApiKeys
from api.live import Hub
from consumers.cpu.pool import CpuPool
from consumers.llm import Endpoint
from consumers.store import Store
from streams.blobs import Blobs
from streams.connect import connect
from streams.errors import PermanentError
from streams.keys import Keys
from streams.log import Log
from streams.policy import RECYCLE_AFTER
from streams.pressure import Pressure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import HTTPConnection

    from consumers.flow import Flows
    from schemas.settings import Settings

COMMAND_TIMEOUT_S: Final = 3.0
"""A request fails with 503 rather than wait much longer than this for Redis."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of Millrace that a request may need."""

    settings: Settings
    flows: Flows
    client: Any
    keys: Keys
    log: Log
    api_keys: ApiKeys
    hub: Hub
    blobs: Blobs
    cpu: CpuPool
    database: Store | None
    pressure: Pressure
    llm: Endpoint | None

    @property
    def store(self) -> Store:
        """PostgreSQL.

        Raises:
            PermanentError: ``no_database``: the API was started without one.
        """
        if self.database is None:
            raise PermanentError(
                "the API was started without a database; set MILLRACE_DATABASE_URL", reason="no_database"
            )
        return self.database


@asynccontextmanager
async def opened(settings: Settings, redis_url: str, database_url: str | None, flows: Flows) -> AsyncIterator[Services]:
    """Open the services, close them at the end."""
    keys = Keys(settings.namespace, settings.partitions)
    client = connect(redis_url, timeout_s=COMMAND_TIMEOUT_S, resent=1)
    log = Log(
        client, keys, flows, record_ttl_s=settings.record_ttl_s, wait_replicas=settings.wait_replicas,
        max_redrives=settings.max_redrives, max_backlog=settings.max_backlog,
    )  # fmt: skip
    store = Store.connect(database_url) if database_url is not None else None
    blobs = Blobs.open(settings.artifacts_location)
    hub = Hub(redis_url, keys)
    llm = Endpoint(settings) if settings.llm_base_url is not None else None
    # Its child starts with the first page that somebody wants drawn.
    cpu = CpuPool(1, recycle_after=RECYCLE_AFTER["heavy"])
    try:
        async with hub:
            yield Services(
                settings, flows, client, keys, log, ApiKeys(client, keys), hub, blobs, cpu, store,
                Pressure(client, keys, share=settings.max_memory_share), llm,
            )  # fmt: skip
    finally:
        await cpu.aclose()
        if llm is not None:
            await llm.aclose()
        blobs.close()
        if store is not None:
            await store.close()
        await client.aclose()


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that a request or WebSocket came to."""
    services: Services = connection.app.state.services
    return services
