"""The log as it was at one instant, as a file: taken over the network as a replica would, put back as a data folder.

Source: Redis, "Replication" (SYNC), "Persistence" (multi-part append-only files, since 7.0).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from streams.connect import is_cluster
from streams.errors import PermanentError, TransientError

BEGINS_WITHIN_S: Final = 120.0
"""The server forks and writes the file before it sends it; it sends line feeds meanwhile."""
PIECE: Final = 1 << 20
AOF_FOLDER: Final = "appendonlydir"
BASE: Final = "appendonly.aof.1.base.rdb"
INCREMENT: Final = "appendonly.aof.1.incr.aof"
MANIFEST: Final = "appendonly.aof.manifest"


async def take(client: Any, target: Path) -> int:
    """Write a snapshot of the whole server; answers its size in bytes.

    It is the server's state at one instant: no move is in it by half. The server forks for it, as for a rewrite of its
    append-only file.

    Raises:
        PermanentError: It is a Cluster, or the user may not SYNC.
        TransientError: The connection broke.
    """
    if is_cluster(client):
        raise PermanentError(
            "a Cluster has no instant of its own: take a snapshot of each master (BGSAVE), see docs/backup.md",
            reason="cluster",
        )
    connection = client.connection_pool.make_connection()
    await connection.connect()
    try:
        # Beyond this command the connection speaks replication: what follows is no reply that a parser reads.
        await connection.send_command("SYNC")
        return await _receive(connection._reader, target)  # noqa: SLF001 - redis-py has no way to hand it out
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise TransientError(f"the snapshot broke off: {error}; take it again", reason="snapshot") from error
    finally:
        await connection.disconnect(nowait=True)


async def _receive(reader: asyncio.StreamReader, target: Path) -> int:
    head = b"\n"
    async with asyncio.timeout(BEGINS_WITHIN_S):
        while head == b"\n":
            head = await reader.readline()
    if not head.startswith(b"$"):
        raise PermanentError(
            f"Redis gives no snapshot: {head.decode(errors='replace').strip()}. Its user needs `+sync`",
            reason="snapshot_refused",
        )
    size = left = int(head[1:])
    with target.open("wb") as file:
        while left:
            piece = await reader.readexactly(min(PIECE, left))
            await asyncio.to_thread(file.write, piece)
            left -= len(piece)
    return size


def put_back(snapshot: Path, data: Path) -> None:
    """Make a server's data folder of a snapshot; the server reads it when it starts with ``appendonly yes``.

    Raises:
        PermanentError: The folder has data.
    """
    folder = data / AOF_FOLDER
    if folder.exists() and any(folder.iterdir()):
        raise PermanentError(f"{folder} has data: restore into an empty folder, or move that away", reason="not_empty")
    folder.mkdir(parents=True, exist_ok=True)
    with snapshot.open("rb") as source, (folder / BASE).open("wb") as target:
        while piece := source.read(PIECE):
            target.write(piece)
    (folder / INCREMENT).touch()
    # The manifest last: without it the server takes the folder for an empty one.
    (folder / MANIFEST).write_text(f"file {BASE} seq 1 type b\nfile {INCREMENT} seq 1 type i\n")
