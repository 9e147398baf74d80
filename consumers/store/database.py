"""The connection to PostgreSQL: a small pool, short transactions, advisory locks, and errors that say what to do."""

from __future__ import annotations

import asyncio
import random
import select
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg
from sqlalchemy import event, exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from consumers.store.cleaning import dump_json, load_json
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

POOL_SIZE: Final = 5
POOL_WAIT_S: Final = 10.0
CONNECT_S: Final = 5.0
IDLE_IN_TRANSACTION_MS: Final = 60_000
"""The server ends a transaction that nobody works in: none is to be open during a stage's work."""

LOCK_POLL_S: Final = (0.02, 1.0)
"""First and longest wait between two looks at a lock that another holds."""

_UNAVAILABLE_CLASSES: Final = frozenset({"08", "28", "3D", "40", "53", "57"})
"""SQLSTATE classes that say nothing about the statement: connection, authorization, no such database, rollback
(deadlock), out of resources, operator's intervention. Source: PostgreSQL documentation, appendix A."""

_LOCK_NOT_AVAILABLE: Final = "55P03"
_UNDEFINED_TABLE: Final = frozenset({"42P01", "42703"})


class Database:
    """A PostgreSQL database. Nothing is sent before it is used.

    Args:
        url: ``postgresql://`` as libpq understands it: ``sslmode``, ``host`` as a socket folder, several hosts.
        pool_size: Most connections at a time.
    """

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        self.place = _place(url)
        dsn = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self.engine = _engine(dsn, pool_size)
        self._each_alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A short transaction: committed at the end, rolled back by an exception.

        Raises:
            TransientError: The database is down, refuses us, or broke a deadlock in another's favour.
        """
        with self._available():
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                yield session

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[AsyncConnection]:
        """For a single statement: it is a transaction of its own, and BEGIN and COMMIT are not waited for.

        Raises:
            TransientError: As of `begin`.
        """
        with self._available():
            async with self._each_alone.connect() as connection:
                yield connection

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[Begin]:
        """Hold an advisory lock, without a transaction, and hand out short transactions on its connection.

        What is written in them is fenced: if the connection breaks, the lock is gone and so is the way to write.
        A waiter holds no connection, so that waiters cannot take the pool from the holder.

        Args:
            name: What is locked; its 64-bit hash is the key.

        Raises:
            TransientError: The database is down.
        """
        with self._available():
            connection = await self._lock(name)
        session = AsyncSession(connection, expire_on_commit=False)

        @asynccontextmanager
        async def begin() -> AsyncIterator[AsyncSession]:
            with self._available():
                async with session.begin():
                    yield session

        try:
            yield begin
        finally:
            with suppress(Exception):
                await session.close()
            await _unlock(connection, name)

    async def _lock(self, name: str) -> AsyncConnection:
        wait_s = LOCK_POLL_S[0]
        while True:
            connection = await self.engine.connect()
            try:
                taken = await connection.scalar(
                    text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"), {"name": name}
                )
                await connection.commit()
            except BaseException:
                await connection.invalidate()
                await connection.close()
                raise
            if taken:
                return connection
            await connection.close()
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the waiters
            wait_s = min(wait_s * 2, LOCK_POLL_S[1])

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except exc.TimeoutError as error:
            raise TransientError(
                f"PostgreSQL at {self.place}: no connection became free within {POOL_WAIT_S:g} s; try again later",
                reason="database_busy",
            ) from error
        except (exc.DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            problem = self._problem(error)
            if problem is None:
                raise
            raise problem from error

    def _problem(self, error: Exception) -> TransientError | None:
        """What to tell about a database that does not do its part; None when the statement is to blame."""
        cause = error.orig if isinstance(error, exc.DBAPIError) else error
        sqlstate = getattr(cause, "sqlstate", None)
        if sqlstate in _UNDEFINED_TABLE:
            return TransientError(
                f"PostgreSQL at {self.place} lacks a table of this version: run `millrace migrate`",
                reason="database_not_migrated",
            )
        lost = isinstance(error, OSError | asyncpg.InterfaceError) or (
            isinstance(error, exc.DBAPIError)
            and (error.connection_invalidated or isinstance(error, exc.InterfaceError))
        )
        if not lost and sqlstate != _LOCK_NOT_AVAILABLE and (sqlstate or "")[:2] not in _UNAVAILABLE_CLASSES:
            return None
        detail = str(cause).partition("\n")[0].rpartition("'>: ")[2] or type(cause).__name__
        return TransientError(
            f"PostgreSQL at {self.place} is not available ({detail}). Check that it runs and that "
            "MILLRACE_DATABASE_URL is right",
            reason="database_unavailable",
        )


async def _unlock(connection: AsyncConnection, name: str) -> None:
    try:
        await connection.execute(text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), {"name": name})
        await connection.commit()
    except BaseException as error:
        # The pool must not get it back with the lock on it; closing it lets the lock go.
        await connection.invalidate()
        if not isinstance(error, Exception):
            raise
    finally:
        await connection.close()


def _engine(dsn: str, pool_size: int) -> AsyncEngine:
    async def connect(*_args: Any, **_options: Any) -> asyncpg.Connection:
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_S,
            server_settings={
                "application_name": "millrace",
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
            },
        )

    # asyncpg reads the URL itself: it knows libpq's options, and the engine's repr has no password.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        json_serializer=dump_json,
        json_deserializer=load_json,
    )
    event.listen(engine.sync_engine, "checkout", partial(_check_use, engine.sync_engine.dialect))
    return engine


def _check_use(dialect: Any, connection: Any, _record: Any, _proxy: Any) -> None:
    """Replace a connection that the server has closed.

    As SQLAlchemy's ``pool_pre_ping`` does, whose ping takes as long as a small statement; here only a connection on
    which the server said something unasked is pinged: mostly it said good bye.
    """
    driver = connection.driver_connection
    if driver.is_closed():
        raise exc.DisconnectionError("the server closed the connection")
    transport = driver._transport  # noqa: SLF001 - asyncpg has no public way to its socket
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    if waiting.poll(0):
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise exc.DisconnectionError("the server closed the connection") from error


def _place(url: str) -> str:
    """Host, port and database of a URL, without user and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or ",".join(parse_qs(parts.query).get("host", ["localhost"]))
    return f"{host}{parts.path}"
