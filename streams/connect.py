"""Connections to Redis, of every topology, with bounded time-outs and re-sending.

Commands are re-sent when an answer is cut off: every move is safe to send twice. A reader that blocks has a
connection of its own, with a socket time-out beyond its block.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urlsplit

import hiredis
import redis.asyncio as redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import (  # redis's own names
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    SlotNotCoveredError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

COMMAND_TIMEOUT_S: Final = 5.0
RESENT: Final = 3
"""Times a command is sent again after its connection broke; then its caller decides."""

AWAY: Final = (
    ConnectionError, TimeoutError, BusyLoadingError, OSError,
    ReadOnlyError, ClusterDownError, SlotNotCoveredError, TryAgainError,  # a failover, or slots on the move
)  # fmt: skip
"""What says that the server is away for now, rather than that it refuses."""

NOT_NOW: Final = (*AWAY, OutOfMemoryError)
"""What a loop waits out: the server is away, or it is full and refuses what takes memory."""

CLUSTER_CONNECTIONS: Final = 1_024
"""Connections to one node of a Cluster at most: each partition's doorbell has one."""

LONG_COMMAND: Final = 24
"""Arguments from which a command is packed by hiredis: a batch has hundreds, and redis-py joins them one by one."""


class Connection(redis.Connection):
    """A connection that packs long commands in C, and that says so when it was closed under a command."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        """Send what was packed."""
        try:
            await super().send_packed_command(command, check_health)
        except AttributeError as error:  # a Cluster's client closes all when one command fails
            if self.is_connected:
                raise
            raise ConnectionError("the connection was closed while a command was sent") from error

    def pack_command(self, *args: Any) -> list[bytes]:
        """A command as bytes for the wire."""
        if len(args) < LONG_COMMAND:
            return super().pack_command(*args)
        return [hiredis.pack_command(args)]


class Master(redis.Redis):
    """A client of the master that Sentinel names; it closes its connections to the Sentinels too."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's
        """Close every connection."""
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


class Cluster(RedisCluster):
    """A client of a Cluster, without three surprises of redis-py's.

    No reachable node is a broken connection like any other; the first commands go where their keys are, rather than
    anywhere, to be sent on; and the keys of a blocking read are known without asking a server for them.
    """

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Execute a command at the node that has its keys."""
        if self._initialize:
            await self.initialize()
        return await super().execute_command(*args, **options)

    async def _determine_slot(self, command: str, *args: Any) -> int:
        if command in {"XREAD", "XREADGROUP"}:
            return self.keyslot(args[args.index(b"STREAMS") + 1])
        return await super()._determine_slot(command, *args)

    async def initialize(self, *args: Any, **options: Any) -> RedisCluster:
        """Learn who has which slots."""
        try:
            return await super().initialize(*args, **options)
        except RedisClusterException as error:
            raise ConnectionError(str(error)) from error


def _options(timeout_s: float, resent: int) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": 2.0,
        "socket_keepalive": True,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), resent),
        "retry_on_error": [ConnectionError, TimeoutError, BusyLoadingError],
        "health_check_interval": 0,
    }


def connect(
    url: str, *, timeout_s: float = COMMAND_TIMEOUT_S, resent: int = RESENT, single: bool = False, name: str = ""
) -> Any:
    """A client for ``redis://``, ``rediss://``, ``redis+sentinel://`` or ``redis+cluster://``; it connects when used.

    The query holds options of redis-py's connections, such as ``?ssl_ca_certs=/etc/ssl/own.pem``. The last two name
    one host or several (``host:port,host:port``), of which one that answers is enough; a Cluster's client asks them
    for the others, which need not be named.

    Args:
        timeout_s: How long an answer may take; for a blocking read more than its block.
        resent: Times a command is sent again after its connection broke.
        single: One connection of its own instead of a pool (not on a Cluster).
        name: What the connection is called in the server's CLIENT LIST; empty for nothing.

    Raises:
        ValueError: The URL has another scheme or names no host.
    """
    scheme = urlsplit(url).scheme
    options = _options(timeout_s, resent)
    if name:
        options["client_name"] = name
    if scheme in {"redis", "rediss", "unix"}:
        # `rediss` and `unix` choose a connection class of their own.
        return redis.Redis.from_url(url, connection_class=Connection, single_connection_client=single, **options)
    if scheme == "redis+cluster":
        return _of_cluster(url, options, resent)
    if scheme == "redis+sentinel":
        return _by_sentinel(url, options)
    msg = f"{scheme}:// is no scheme of Redis; use redis://, rediss://, redis+sentinel:// or redis+cluster://"
    raise ValueError(msg)


async def transaction(client: Any) -> Any:
    """A pipeline whose commands are carried out together or not at all.

    redis-py queues each of them in a thread with an event loop of its own when the client is a Cluster's; if it had to
    learn there who has which slots, it would wait for a lock of this loop. So it learns that before.
    """
    if is_cluster(client):
        await client.initialize()
    return client.pipeline(transaction=True)


def is_cluster(client: Any) -> bool:
    """Whether keys of several hash tags need several commands."""
    return isinstance(client, RedisCluster)


def _of_cluster(url: str, options: dict[str, Any], resent: int) -> Any:
    """``redis+cluster://[user:password@]host:port[,host:port...]``."""
    options.pop("retry_on_error")
    # It learns who has which slots anew only when it sends a command again.
    options["retry"] = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), max(1, resent))
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    first, *others = hosts.split(",")
    startup = [ClusterNode(host, port) for host, port in map(_host_and_port, others)]
    plain = parts._replace(scheme="redis", netloc=f"{credentials}{at}{first}").geturl()
    # Slots that moved are learnt one by one: to learn all of them anew breaks every command under way.
    client: Any = Cluster.from_url(
        plain, startup_nodes=startup, max_connections=CLUSTER_CONNECTIONS, reinitialize_steps=0, **options
    )
    if client.connection_kwargs["connection_class"] is redis.Connection:
        client.connection_kwargs["connection_class"] = Connection
        for node in client.nodes_manager.startup_nodes.values():
            node.connection_class = Connection
    return client


def _host_and_port(text: str, default: int = 6_379) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "", parts.port or default


def _by_sentinel(url: str, options: dict[str, Any]) -> Any:
    """``redis+sentinel://[user:password@]host:port[,host:port...]/master[/db]``."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    nodes = [_host_and_port(host, 26_379) for host in hosts.split(",")]
    master, _, db = parts.path.strip("/").partition("/")
    if not master:
        msg = "redis+sentinel:// needs the master's name as its path: redis+sentinel://host:26379/mymaster"
        raise ValueError(msg)
    if parts.query:
        msg = f"redis+sentinel:// takes no options, and was given {parts.query!r}; TLS to it is not supported"
        raise ValueError(msg)
    # One that does not answer is passed over: the next one is asked, and all of them again with the command.
    asked = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": Retry(NoBackoff(), 0)}
    sentinel: Any = Sentinel(nodes, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    login: dict[str, Any] = {"username": unquote(user) or None, "password": unquote(password) or None}
    return sentinel.master_for(master, redis_class=Master, db=int(db or 0), **login, **options)
