"""What handlers share within a process: fetcher, artifacts, database, CPU subprocesses; each opened on first use."""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from typing import Self

from consumers.cpu.pool import CpuPool
from consumers.net.browser import Browser, BrowserConfig
from consumers.net.fetch import Fetcher, FetcherConfig
from consumers.net.politeness import Politeness
from consumers.net.robots_cache import RobotsCache
from consumers.store import Store
from schemas.settings import Settings
from streams.blobs import Blobs
from streams.errors import PermanentError
from streams.policy import RECYCLE_AFTER


class SharedResources:
    """`consumers.context.Resources` of a worker or of the inline runner; use as an async context manager."""

    def __init__(self, settings: Settings, database_url: str | None, *, owner: str = "") -> None:
        self.settings = settings
        self._database_url = database_url
        self._owner = owner
        self._pools: dict[str, CpuPool] = {}
        self.fetch = Fetcher(FetcherConfig(allow_hosts=settings.allow_hosts))
        self.robots = RobotsCache(self.fetch)
        self.politeness = Politeness()
        self._browser: asyncio.Task[Browser] | None = None

    @cached_property
    def blobs(self) -> Blobs:
        """The artifact store."""
        return Blobs.open(self.settings.artifacts_location)

    @property
    def has_store(self) -> bool:
        """Whether there is a database; without one only flows that need none can run."""
        return self._database_url is not None

    @cached_property
    def store(self) -> Store:
        """PostgreSQL.

        Raises:
            PermanentError: This process was started without a database.
        """
        if self._database_url is None:
            raise PermanentError(
                "this worker was started without a database; set MILLRACE_DATABASE_URL", reason="no_database"
            )
        return Store.connect(self._database_url)

    def cpu(self, pool: str) -> CpuPool:
        """The subprocesses of a pool, as many as there are cores."""
        found = self._pools.get(pool)
        if found is None:
            cores = 1 if pool == "browser" else os.cpu_count() or 1
            found = CpuPool(cores, recycle_after=RECYCLE_AFTER.get(pool, 1_000), owner=self._owner or None)
            self._pools[pool] = found
        return found

    async def browser(self) -> Browser:
        """The browser of this process, opened by whoever asks first."""
        if self._browser is None:
            config = BrowserConfig(allow_hosts=self.settings.allow_hosts, chromium=self.settings.chromium)
            self._browser = asyncio.create_task(Browser(config).__aenter__())
        return await asyncio.shield(self._browser)

    async def __aenter__(self) -> Self:
        await self.fetch.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._browser is not None:
            await (await self._browser).__aexit__()
        for pool in self._pools.values():
            await pool.aclose()
        await self.fetch.__aexit__(None, None, None)
        if "blobs" in self.__dict__:
            self.blobs.close()
        if "store" in self.__dict__:
            await self.store.close()
