"""Parked lists beyond a bound: their tasks go to the artifact store in chunks, and come back in order.

A spill is a move: the chunk is written first, then a script puts its name in the place of the tasks that it has, if
they still wait there one behind the other. A crash between the two leaves a chunk that nothing names; the sweep removes
it. Reading back is one too: the chunk's tasks take its name's place, then the chunk is removed. The scripts ask for
both by way of the timers (``spill/<job>/<stage>``, ``unspill/<job>/<stage>``), so that a request outlives its worker.

Chunks are ``spill/<namespace>/<job>/<stage>/<random>``: the tasks as they were parked, a line each, zstd.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import zstandard
from redis.exceptions import OutOfMemoryError, RedisError

from schemas.names import LANES, STAGES, StageName
from streams import scripts
from streams.connect import AWAY
from streams.errors import TransientError
from streams.findings import Finding, Findings
from streams.moves import KeyTable
from streams.objects import BlobCorrupt, BlobNotFound
from streams.scripts import Code

if TYPE_CHECKING:
    from streams.chunks import Chunks
    from streams.keys import Keys, PartitionKeys
    from streams.policy import Routes

logger = logging.getLogger(__name__)

CHUNK_TASKS: Final = 1_000
"""Tasks in one chunk at most: reading it back is one script call of about a millisecond."""

CHUNK_BYTES: Final = 1 << 20
"""Bytes of the tasks in one chunk, about, before compression."""

LEAST: Final = 64
"""A shorter run of tasks stays in memory."""

NEAR: Final = 128
"""A chunk with more tasks before it in the list is not read yet."""

AGAIN_S: Final = 5.0
"""When a request is looked at again that the artifact store did not let happen."""

CLAIMED_MS: Final = 5_000
MOST_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Named:
    """A chunk as a parked list names it."""

    key: str
    count: int

    @classmethod
    def of(cls, element: bytes) -> Named | None:
        """Read an element of a parked list; None when it is a task."""
        if not element.startswith(b"@"):
            return None
        count, _, key = element[1:].decode().partition(" ")
        return cls(key, int(count))


def pack(tasks: Sequence[bytes]) -> bytes:
    """The bytes of a chunk."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(b"\n".join(tasks))


def unpack(body: bytes, named: Named) -> list[bytes]:
    """The tasks of a chunk.

    Raises:
        BlobCorrupt: It does not have those that its name says.
    """
    try:
        tasks = zstandard.decompress(body, max_output_size=MOST_BYTES).split(b"\n")
    except zstandard.ZstdError as error:
        raise BlobCorrupt(f"chunk {named.key}", str(error)) from error
    if len(tasks) != named.count:
        raise BlobCorrupt(f"chunk {named.key}", f"it has {len(tasks)} tasks, not {named.count}")
    return tasks


def last_run(rows: Sequence[bytes], most: int, max_bytes: int) -> tuple[int, int] | None:
    """Which elements of a parked list to spill: the end of its last run of tasks that is long enough.

    Args:
        rows: Elements, chunks among them.
        most: Of them at most.
        max_bytes: Of their bytes at most, but for two.

    Returns:
        Index of the first and of the one behind the last; None: there is no such run.
    """
    end = len(rows)
    for at in range(len(rows) - 1, -2, -1):
        if at >= 0 and not rows[at].startswith(b"@"):
            continue
        if end - at - 1 >= LEAST:
            first, size = end, 0
            while first - 1 > at and end - first < most and (size <= max_bytes or end - first < 2):  # noqa: PLR2004
                first -= 1
                size += len(rows[first])
            return first, end
        end = at
    return None


class Frontier:
    """Spills and reads back the parked lists of a namespace's jobs.

    Args:
        client: Of Redis.
        keys: Of the namespace.
        routes: Where a stage's entries go.
        chunks: The artifact store, opened when it is needed.
        in_memory: Parked tasks of a job at a stage that stay in Redis, about.
    """

    def __init__(
        self, client: Any, keys: Keys, routes: Routes, chunks: Callable[[], Chunks], *, in_memory: int
    ) -> None:
        self._client = client
        self._keys = keys
        self._routes = routes
        self._chunks = chunks
        self.in_memory = in_memory
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._rests_until_s = 0.0

    def begin(self, keys: PartitionKeys, member: str) -> None:
        """Do what a timer asks for, in a task of its own; nothing while that is under way."""
        if member in self._under_way or time.monotonic() < self._rests_until_s:
            return
        task = asyncio.create_task(self._act(keys, member))
        self._under_way[member] = task
        task.add_done_callback(lambda _: self._under_way.pop(member, None))

    async def close(self) -> None:
        """Leave what is under way to others: each step is safe to be made again."""
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def spill(self, keys: PartitionKeys, job_id: str, stage: StageName) -> int:
        """Spill a parked list down to half of what may stay in memory, if it is longer; answers how many tasks.

        Raises:
            TransientError, redis.exceptions.RedisError: A server is away; what was spilled so far is.
        """
        parked, spilled = keys.parked(job_id, stage), 0
        while await self._client.llen(parked) > self.in_memory:
            claim = keys.spiller(job_id, stage)
            if not await self._may_spill(claim):
                await asyncio.sleep(0.02)
                continue
            try:
                moved = await self._spill_some(keys, job_id, stage)
            finally:
                await self._client.delete(claim)
            spilled += moved
            if moved == 0:
                break
        return spilled

    async def _may_spill(self, claim: str) -> bool:
        """Whether nobody else spills this list now: two who do leave a chunk that nothing names, no worse."""
        try:
            return bool(await self._client.set(claim, "", nx=True, px=CLAIMED_MS))
        except OutOfMemoryError:
            return True

    async def _spill_some(self, keys: PartitionKeys, job_id: str, stage: StageName) -> int:
        """The last chunk's worth of tasks that may go; 0 when there is none."""
        parked, keep = keys.parked(job_id, stage), self.in_memory // 2
        length = await self._client.llen(parked)
        at = max(keep, length - 2 * CHUNK_TASKS)
        while True:
            rows = await self._client.lrange(parked, at, at + 2 * CHUNK_TASKS - 1)
            run = last_run(rows, CHUNK_TASKS, CHUNK_BYTES)
            if run is not None or at <= keep:
                break
            at = max(keep, at - CHUNK_TASKS)
        if run is None:
            return 0
        tasks = rows[slice(*run)]
        chunk = f"spill/{self._keys.namespace}/{job_id}/{stage}/{uuid.uuid4().hex}"
        await self._chunks().put_raw(chunk, await asyncio.to_thread(pack, tasks))
        table = KeyTable(keys)
        table.of(keys.job(job_id))
        table.of(parked)
        args = [job_id, stage, chunk, len(tasks), tasks[0], tasks[-1]]
        code = Code(await scripts.run(self._client, "spill", table.keys, args))
        # Else they were let in, or another worker spilled them: the list is looked at again, the sweep removes this.
        return len(tasks) if code in {Code.OK, Code.DUPLICATE} else 0

    async def read_back(self, keys: PartitionKeys, job_id: str, stage: StageName) -> None:
        """Read the next chunk of a parked list back, if it is near; remove the chunks of a job that is over.

        Raises:
            BlobNotFound, BlobCorrupt: It is lost: a person must act.
            TransientError, redis.exceptions.RedisError: A server is away; nothing has changed.
        """
        parked = keys.parked(job_id, stage)
        named = next(filter(None, map(Named.of, await self._client.lrange(parked, 0, NEAR))), None)
        tasks: list[bytes] = []
        if named is not None:
            try:
                tasks = await asyncio.to_thread(unpack, await self._chunks().get_raw(named.key), named)
            except BlobNotFound:
                if await self._client.lpos(parked, f"@{named.count} {named.key}") is not None:
                    raise
                named = None  # another worker has read it back meanwhile
        flow, lane = await self._client.hmget(keys.job(job_id), "flow", "lane")
        policy = self._routes.policy((flow or b"").decode(), stage)
        table = KeyTable(keys)
        table.of(keys.job(job_id))
        table.of(parked)
        table.of(keys.stream(stage, policy.pool, next((one for one in LANES if one.encode() == lane), "normal")))
        head = [job_id, stage, policy.window, named.key if named else "", named.count if named else 0]
        code = Code(await scripts.run(self._client, "unspill", table.keys, [*head, *tasks]))
        if code in {Code.DROPPED, Code.UNKNOWN_JOB}:
            await self._remove_all(job_id, stage)
        elif named is not None:
            await self._chunks().delete_raw(named.key)

    async def _remove_all(self, job_id: str, stage: StageName) -> None:
        chunks = self._chunks()
        folder = f"spill/{self._keys.namespace}/{job_id}/{stage}"
        for key in [stored.key async for stored in chunks.list_raw(folder)]:
            await chunks.delete_raw(key)

    async def _act(self, keys: PartitionKeys, member: str) -> None:
        what, job_id, name = member.split("/")
        stage: StageName = next(one for one in STAGES if one == name)
        try:
            if what == "spill":
                await self.spill(keys, job_id, stage)
                await self._client.zrem(keys.timers, member)
            else:
                await self.read_back(keys, job_id, stage)
        except (BlobNotFound, BlobCorrupt) as error:
            await self._tell(job_id, error)
            await self._put_off(keys, member)
        except (*AWAY, RedisError, TransientError) as error:
            logger.warning("%s of job %s waits: %s", what, job_id, error)
            self._rests_until_s = time.monotonic() + AGAIN_S

    async def _put_off(self, keys: PartitionKeys, member: str) -> None:
        try:
            seconds, _ = await self._client.time()
            await self._client.zadd(keys.timers, {member: (int(seconds) + 60) * 1_000}, xx=True)
        except (*AWAY, RedisError) as error:
            logger.warning("%s is looked at again: %s", member, error)

    async def _tell(self, job_id: str, error: Exception) -> None:
        logger.error("a part of job %s cannot be read back: %s", job_id, error)
        said = f"parked tasks of job {job_id} cannot be read back: {error}"
        cure = "restore it from a backup of the artifact store (it is tried again each minute), or cancel the job"
        try:
            findings = Findings(self._client, self._keys)
            await findings.note(Finding("frontier_lost", job_id, said, cure, int(time.time() * 1_000)))
        except (*AWAY, RedisError) as away:
            logger.warning("the finding is not kept: %s", away)


async def chunks_of(client: Any, parked: str, page: int = 500) -> AsyncIterator[Named]:
    """The chunks that a parked list names, in order."""
    at = 0
    while rows := await client.lrange(parked, at, at + page - 1):
        for row in rows:
            named = Named.of(row)
            if named is not None:
                yield named
        at += len(rows)
