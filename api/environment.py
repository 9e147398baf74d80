"""Where the log and the store are: the operator's own servers, or the embedded ones of the home.

A command that starts processes calls `hosted`; one that only asks calls `find`. Both answer a `Place`, and `connected`
opens it.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.services import opened
from consumers.flow import installed
from consumers.store import upgrade
from streams.embedded import AlreadyRunning, EmbeddedServers
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from api.services import Services
    from schemas.settings import Settings

JOIN_WITHIN_S: Final = 60.0
"""How long to wait for servers that another process is starting."""
POLL_S: Final = 0.1


class NothingRunning(MillraceError):  # noqa: N818 - it says what is the case
    """No servers were named, and the embedded ones of the home do not run."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"nothing is running here ({_shown(home)}): start `./millrace up`, or set MILLRACE_REDIS_URL to a Redis of "
            "your own"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where the log and the store are.

    Attributes:
        settings: As read from the environment.
        redis_url: Of the log.
        database_url: Of the store; None when no PostgreSQL is known, so that only the log can be asked.
    """

    settings: Settings
    redis_url: str
    database_url: str | None

    @property
    def is_embedded(self) -> bool:
        """Whether the log is in the embedded Valkey."""
        return self.settings.redis_url is None


@dataclass(frozen=True, slots=True)
class Host:
    """A place that is served, and the servers if they are this process's.

    Attributes:
        servers: None when the operator's own are used, or another process's.
        notices: Sentences that an operator should read.
    """

    place: Place
    servers: EmbeddedServers | None
    notices: tuple[str, ...] = ()


def find(settings: Settings) -> Place:
    """The servers that are there; nothing is started.

    Raises:
        NothingRunning: None are.
    """
    redis_url, database_url = _own(settings)
    if redis_url is None or database_url is None:
        found = EmbeddedServers.connect_existing(settings.home)
        if found is not None:
            redis_url = redis_url or found.redis_url
            database_url = database_url or found.database_url
    if redis_url is None:
        raise NothingRunning(settings.home)
    return Place(settings, redis_url, database_url)


@contextmanager
def hosted(settings: Settings, *, join: bool) -> Iterator[Host]:
    """Have the servers run, with the tables in the database: the operator's own, else embedded ones.

    Blocks, and leaves no thread behind: its caller forks. What is started here stops at the end of the block.

    Args:
        settings: Say which are embedded, and where.
        join: Use the servers of another process of this home, when it runs; else that is refused.

    Raises:
        AlreadyRunning: Another process owns the home, and `join` is false.
        EmbeddedError: A server does not start.
    """
    redis_url, database_url = _own(settings)
    if redis_url is not None and database_url is not None:
        yield _migrated(Host(Place(settings, redis_url, database_url), None))
        return
    try:
        servers = EmbeddedServers.start(settings.home, redis=redis_url is None, postgres=database_url is None)
    except AlreadyRunning:
        if not join:
            raise
        yield _migrated(Host(_joined(settings), None))
        return
    with servers:
        place = Place(settings, redis_url or servers.redis_url, database_url or servers.database_url)
        yield _migrated(Host(place, servers, servers.notices))


def connected(place: Place) -> AbstractAsyncContextManager[Services]:
    """Open a place: the same services that the API's routes have."""
    return opened(place.settings, place.redis_url, place.database_url, installed())


def default_processes() -> int:
    """Worker processes when nobody says how many: one a core, two at least, so that one covers for the other."""
    return max(2, min(8, os.cpu_count() or 2))


def _own(settings: Settings) -> tuple[str | None, str | None]:
    redis_url, database_url = settings.redis_url, settings.database_url
    return (
        redis_url.get_secret_value() if redis_url is not None else None,
        database_url.get_secret_value() if database_url is not None else None,
    )


def _joined(settings: Settings) -> Place:
    """The servers of a process that runs, or is about to have them running."""
    deadline = time.monotonic() + JOIN_WITHIN_S
    while True:
        try:
            place = find(settings)
        except NothingRunning:
            if time.monotonic() > deadline:
                raise
        else:
            if place.database_url is not None or time.monotonic() > deadline:
                return place
        time.sleep(POLL_S)


def _migrated(host: Host) -> Host:
    if host.place.database_url is not None:
        asyncio.run(upgrade(host.place.database_url))
    return host


def _shown(path: Path) -> str:
    """A path as a person would type it."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown


__all__ = ["Host", "NothingRunning", "Place", "connected", "default_processes", "find", "hosted"]
