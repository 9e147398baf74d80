"""What is due: retries, snoozes, delayed starts, expiries, follow-ups and work on frontiers, in one set a partition."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from streams import scripts
from streams.connect import AWAY, is_cluster
from streams.findings import Finding, Findings
from streams.frontier import Frontier
from streams.keys import PartitionKeys
from streams.log import Log
from streams.moves import KeyTable
from streams.policy import Routes

logger = logging.getLogger(__name__)

PAGE: Final = 200
"""Due members that one call promotes."""

THEN_AGAIN_S: Final = 60
"""Seconds until a follow-up that could not be submitted is tried again."""

THEN_GIVE_UP_S: Final = 3_600
"""Seconds after a job's end when its follow-up is given up: by then every worker of a rolling upgrade had its try."""

FollowUp = Callable[[str, bytes], Awaitable[None]]
"""Submits what a job's `then` asks for: called with the job's id and the body."""


class Timers:
    """Promotes what is due, in score order. Every worker does; each member is promoted once."""

    def __init__(
        self, client: Any, log: Log, routes: Routes, follow_up: FollowUp, frontier: Frontier | None = None
    ) -> None:
        self._client = client
        self._log = log
        self._routes = routes
        self._follow_up = follow_up
        self._frontier = frontier

    async def promote_due(self, keys: PartitionKeys) -> int:
        """Promote one page of what is due by the server's clock; answers how many members it went through."""
        now_ms = await self._now_ms(keys)
        due = await self._client.zrange(keys.timers, "-inf", now_ms, byscore=True, offset=0, num=PAGE)
        if not due:
            return 0
        members = [member.decode() for member in due]
        tasks = [m for m in members if m.startswith("task/")]
        if tasks:
            await self.promote(keys, tasks)
        for member in members:
            kind, _, job_id = member.partition("/")
            if kind == "expire":
                await self._expire(keys, job_id)
            elif kind == "then":
                await self._then(keys, member, job_id)
            elif kind in {"spill", "unspill"} and self._frontier is not None:
                self._frontier.begin(keys, member)
        return len(members)

    async def next_due_s(self, keys: PartitionKeys) -> float | None:
        """Seconds until the next member is due (negative: overdue), None when nothing waits."""
        first = await self._client.zrange(keys.timers, 0, 0, withscores=True)
        return None if not first else first[0][1] / 1_000 - time.time()

    async def _now_ms(self, keys: PartitionKeys) -> int:
        """The clock of the server that has the partition."""
        node = {"target_nodes": self._client.get_node_from_key(keys.timers)} if is_cluster(self._client) else {}
        seconds, micros = await self._client.execute_command("TIME", **node)
        return int(seconds) * 1_000 + int(micros) // 1_000

    async def promote(self, keys: PartitionKeys, members: list[str]) -> None:
        """Put tasks back into their streams; those that are not due, or not there, stay as they are.

        Args:
            members: ``task/<job>/<n>``.
        """
        bodies = await self._client.hmget(keys.waiting, members)
        table = KeyTable(keys)
        args: list[Any] = []
        count = 0
        for member, packed in zip(members, bodies, strict=True):
            if packed is None:
                continue  # promoted by another worker meanwhile
            _, job_id, task = member.split("/")
            stream = keys.named(orjson.loads(packed)["stream"])
            args += (member, table.of(stream), table.of(keys.job(job_id)), job_id, task)
            count += 1
        if count:
            await scripts.run(self._client, "promote", table.keys, [self._log.record_ttl_s, count, *args])

    async def _expire(self, keys: PartitionKeys, job_id: str) -> None:
        record = await self._log.job(job_id)
        table = KeyTable(keys)
        table.of(keys.job(job_id))
        if record is None:
            table.of(keys.stream("notify"))
            args: list[Any] = [job_id, "", 0, "", self._log.record_ttl_s]
        else:
            place = record.tasks.get(1)
            table.of(keys.stream("notify", self._routes.policy(record.flow, "notify").pool, record.lane))
            stream = table.of(keys.named(place.stream)) if place is not None and place.stream else 0
            stage = place.stage if place is not None else ""
            args = [job_id, stage, stream, place.entry_id if place is not None else "", self._log.record_ttl_s]
        await scripts.run(self._client, "expire", table.keys, args)

    async def _then(self, keys: PartitionKeys, member: str, job_id: str) -> None:
        body = await self._client.hget(keys.waiting, member)
        if body is not None:
            try:
                await self._follow_up(job_id, body)
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - a flow's own code looked at the spec
                # Another worker may have the flow that this one lacks; whatever it is, nothing else waits for it.
                if not await self._give_up(keys, job_id, error):
                    logger.warning(
                        "the follow-up of job %s was not submitted, again in %d s: %s", job_id, THEN_AGAIN_S, error
                    )
                    due_ms = await self._now_ms(keys) + THEN_AGAIN_S * 1_000
                    await self._client.zadd(keys.timers, {member: due_ms}, xx=True)
                    return
        pipe = self._client.pipeline(transaction=False)
        pipe.zrem(keys.timers, member)
        pipe.hdel(keys.waiting, member)
        await pipe.execute()

    async def _give_up(self, keys: PartitionKeys, job_id: str, error: Exception) -> bool:
        """Whether it is too late to try again; then the job's record and a finding say so."""
        now_ms, record = await self._now_ms(keys), await self._log.job(job_id)
        if record is not None and now_ms - record.number("finished_at") < THEN_GIVE_UP_S * 1_000:
            return False
        said = f"the follow-up (`then`) of job {job_id} was not submitted: {error}"
        cure = "correct what it says and submit the follow-up by hand: its body is in the job's record"
        await Findings(self._client, self._log.keys).note(Finding("follow_up_given_up", job_id, said, cure, now_ms))
        if record is not None:
            await self._client.hset(keys.job(job_id), "then_error", str(error)[:2_000])
        return True
