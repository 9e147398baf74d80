"""The servers of one home, their owner, and how others find them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.embedded.errors import AlreadyRunning
from streams.embedded.lock import FileLock
from streams.embedded.postgres import PostgresServer
from streams.embedded.valkey import ValkeyServer

OWNER_LOCK = "owner.lock"


@dataclass(frozen=True, slots=True)
class RunningServers:
    """Addresses of servers that another process keeps running.

    Attributes:
        redis_url: None when that server does not answer.
        database_url: As `redis_url`.
    """

    redis_url: str | None
    database_url: str | None


class EmbeddedServers:
    """Valkey and PostgreSQL under one folder, owned by this process until `stop`.

    A home has one owner. Servers outlive an owner that was killed; the next `start` takes them over. Data
    that a server acknowledged survives the death of either.
    """

    def __init__(self, owner: FileLock, valkey: ValkeyServer | None, postgres: PostgresServer | None) -> None:
        self._owner = owner
        self._owner_pid = os.getpid()
        self._valkey = valkey
        self._postgres = postgres

    @classmethod
    def start(cls, home: Path, *, redis: bool = True, postgres: bool = True) -> Self:
        """Start, or take over, the servers of `home`; returns when both can be used.

        The first start of a home takes a few seconds (PostgreSQL makes its data folder), later ones less than two.
        Blocks: an event loop calls it in a thread.

        Args:
            home: Their folder; made if missing.
            redis: Whether Valkey is wanted (no, when ``MILLRACE_REDIS_URL`` is set).
            postgres: Whether PostgreSQL is wanted (no, when ``MILLRACE_DATABASE_URL`` is set).

        Raises:
            AlreadyRunning: Another process owns this home; see `connect_existing`.
            EmbeddedError: A server does not start.
        """
        home = home.absolute()
        home.mkdir(parents=True, exist_ok=True)
        owner = FileLock(home / OWNER_LOCK)
        if not owner.acquire():
            raise AlreadyRunning(home, owner.read_pid())
        servers = cls(owner, ValkeyServer(home) if redis else None, PostgresServer(home) if postgres else None)
        try:
            owner.write_pid()
            for server in servers._servers():
                server.start()
        except BaseException:
            servers.stop()
            raise
        return servers

    @staticmethod
    def connect_existing(home: Path) -> RunningServers | None:
        """The servers of `home` that answer now, whoever owns them; None when none does."""
        valkey, postgres = ValkeyServer(home.absolute()), PostgresServer(home.absolute())
        found = RunningServers(
            redis_url=valkey.url if valkey.answers() else None,
            database_url=postgres.url if postgres.answers() else None,
        )
        return found if found.redis_url or found.database_url else None

    @property
    def redis_url(self) -> str:
        """``redis://`` address of Valkey.

        Raises:
            ValueError: `start` was told that Redis is not wanted.
        """
        if self._valkey is None:
            raise ValueError("the embedded Valkey was not asked for")
        return self._valkey.url

    @property
    def database_url(self) -> str:
        """``postgresql://`` address of PostgreSQL.

        Raises:
            ValueError: `start` was told that PostgreSQL is not wanted.
        """
        if self._postgres is None:
            raise ValueError("the embedded PostgreSQL was not asked for")
        return self._postgres.url

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences an operator should read, such as where data is kept when not under the home."""
        notice = self._postgres.notice if self._postgres else None
        return (notice,) if notice else ()

    def revive(self) -> tuple[str, ...]:
        """Start again what has died, at the same address, and say what it was. Cheap when all live.

        Raises:
            EmbeddedError: A server does not start.
        """
        dead = [server for server in self._servers() if not server.is_alive()]
        for server in dead:
            server.start()
        return tuple(server.name for server in dead)

    def stop(self) -> None:
        """Stop the servers cleanly and give up the home. Does nothing the second time, or in a forked child."""
        if self._owner_pid != os.getpid() or not self._owner.is_held:
            return
        try:
            for server in self._servers():
                server.stop()
        finally:
            self._owner.close()

    def _servers(self) -> Iterator[ValkeyServer | PostgresServer]:
        if self._valkey is not None:
            yield self._valkey
        if self._postgres is not None:
            yield self._postgres

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
