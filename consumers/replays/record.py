"""A replay's live record: what was asked for, how far it is, where it goes on after a crash."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import ValidationError

from schemas.replays import ReplayProblem, ReplayRequest, ReplayView, is_over
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.replays import ReplayStatus
    from streams.keys import Keys

API: Final = "/api/v1"
KEPT_S: Final = 90 * 86_400
"""How long the record of a replay that is over stays."""

MOST_PROBLEMS: Final = 100
"""Problems that a record lists; all are counted."""

_ID: Final = re.compile(r"r-[0-9a-f]{20}")


class NoSuchReplay(MillraceError):  # noqa: N818 - it says what happened
    """No replay of this tenant has that id, or it is long over."""


class ReplayIsOver(MillraceError):  # noqa: N818 - it says what happened
    """It cannot be cancelled any more."""


@dataclass(slots=True)
class ReplayRecord:
    """A replay. What has happened so far is written by who carries it out.

    Attributes:
        cursor: The last job that was done with, see `Selection.cursor_of`.
        opening: The job that was being opened when this was written; empty for none.
        missing: Reason -> jobs that could not be replayed.
    """

    replay_id: str
    tenant: str
    request: ReplayRequest
    created_by: str
    created_ms: int
    status: ReplayStatus = "queued"
    started_ms: int = 0
    finished_ms: int = 0
    selected: int | None = None
    jobs: int = 0
    entries: int = 0
    cursor: str = ""
    opening: str = ""
    error: str = ""
    missing: dict[str, int] = field(default_factory=dict)
    problems: list[ReplayProblem] = field(default_factory=list)

    def lacks(self, job_id: str, reason: str, detail: str) -> None:
        """Count a job that cannot be replayed."""
        self.missing[reason] = self.missing.get(reason, 0) + 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(ReplayProblem(job_id=job_id, reason=reason, detail=detail))

    @property
    def view(self) -> ReplayView:
        """As it is shown."""
        asked, done = self.request, self.jobs + sum(self.missing.values())
        percent = 100.0 if self.status == "done" else 100.0 * done / self.selected if self.selected else 0.0
        link = f"{API}/replays/{self.replay_id}"
        return ReplayView(
            replay_id=self.replay_id, status=self.status, select=asked.select, from_stage=asked.from_stage,
            fetch=asked.fetch, rate=asked.rate, priority=asked.priority, created_by=self.created_by,
            created_at=self.created_ms, started_at=self.started_ms, finished_at=self.finished_ms,
            selected=self.selected, jobs=self.jobs, entries=self.entries, missing=self.missing,
            problems=self.problems, percent=round(min(100.0, percent), 1), error=self.error or None,
            links={"self": link, "cancel": f"{link}/cancel", "jobs": f"{API}/jobs?replay={self.replay_id}"},
        )  # fmt: skip

    def progress(self) -> dict[str, Any]:
        """What changes while it goes on, as it is stored."""
        return {
            "started": self.started_ms, "finished": self.finished_ms,
            "selected": "" if self.selected is None else self.selected, "jobs": self.jobs, "entries": self.entries,
            "cursor": self.cursor, "opening": self.opening, "error": self.error,
            "missing": orjson.dumps(self.missing),
            "problems": orjson.dumps([one.model_dump() for one in self.problems]),
        }  # fmt: skip

    @classmethod
    def of(cls, replay_id: str, raw: Mapping[bytes, bytes]) -> ReplayRecord:
        """From the reply of HGETALL."""
        row = {name.decode(): value.decode() for name, value in raw.items()}
        status: Any = row["status"]
        return cls(
            replay_id, row["tenant"], ReplayRequest.model_validate_json(row["request"]), row["created_by"],
            int(row["created"]), status, int(row.get("started", 0)), int(row.get("finished", 0)),
            int(row["selected"]) if row.get("selected") else None, int(row.get("jobs", 0)),
            int(row.get("entries", 0)), row.get("cursor", ""), row.get("opening", ""), row.get("error", ""),
            orjson.loads(row.get("missing", "{}")),
            [ReplayProblem(**one) for one in orjson.loads(row.get("problems", "[]"))],
        )  # fmt: skip


class Replays:
    """The replays of a namespace."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def create(self, request: ReplayRequest, *, tenant: str, created_by: str, identity: str = "") -> ReplayRecord:
        """Ask for a replay; a worker carries it out.

        Args:
            request: What to replay.
            tenant: Whose jobs.
            created_by: Who asks, for people.
            identity: What makes two sends one; the same gives the replay that is there.
        """
        name = hashlib.sha256(f"{tenant} {identity}".encode()).hexdigest() if identity else uuid.uuid4().hex
        record = ReplayRecord(f"r-{name[:20]}", tenant, request, created_by, int(time.time() * 1_000))
        if identity:
            with suppress(NoSuchReplay):
                return await self.get(record.replay_id, tenant=tenant)
        fields = {
            "tenant": tenant, "request": request.model_dump_json(), "created_by": created_by,
            "created": record.created_ms, "status": "queued",
        }  # fmt: skip
        # The record first: an id without a record would stop whoever looks for work.
        await self._client.hset(self._keys.replay(record.replay_id), mapping=fields)
        await self._client.zadd(self._keys.replays, {record.replay_id: record.created_ms})
        await self._client.sadd(self._keys.open_replays, record.replay_id)
        return record

    async def get(self, replay_id: str, *, tenant: str | None = None) -> ReplayRecord:
        """A replay.

        Args:
            replay_id: Its id.
            tenant: Whose it must be; None: anyone's.

        Raises:
            NoSuchReplay: There is none.
        """
        raw = await self._client.hgetall(self._keys.replay(replay_id)) if _ID.fullmatch(replay_id) else {}
        try:
            record = ReplayRecord.of(replay_id, raw) if raw else None
        except (KeyError, ValidationError):
            record = None  # of another version, or gone while it was written
        if record is None or tenant not in {None, record.tenant}:
            raise NoSuchReplay(f"there is no replay {replay_id[:100]!r}; `millrace replay list` lists them")
        return record

    async def page(self, *, tenant: str, before: tuple[int, str] | None, limit: int) -> list[ReplayRecord]:
        """A tenant's replays, the newest first, those before a place (created ms, id)."""
        found: list[ReplayRecord] = []
        top: str | int = "+inf" if before is None else before[0]
        offset = 0
        while len(found) < limit:
            rows = await self._client.zrange(
                self._keys.replays, top, "-inf", byscore=True, desc=True, offset=offset, num=limit, withscores=True
            )
            for raw_id, score in rows:
                replay_id = raw_id.decode()
                if before is not None and (int(score), replay_id) >= before:
                    continue
                try:
                    found.append(await self.get(replay_id, tenant=tenant))
                except NoSuchReplay:
                    if not await self._client.exists(self._keys.replay(replay_id)):
                        await self._client.zrem(self._keys.replays, replay_id)
            offset += len(rows)
            if len(rows) < limit:
                break
        return found[:limit]

    async def open_ids(self) -> list[str]:
        """Those that are not over."""
        return sorted(raw.decode() for raw in await self._client.smembers(self._keys.open_replays))

    async def cancel(self, replay_id: str, *, tenant: str) -> ReplayRecord:
        """Stop a replay: no further job is submitted. Those that were submitted go on.

        Raises:
            NoSuchReplay, ReplayIsOver: It is not there, or over.
        """
        record = await self.get(replay_id, tenant=tenant)
        if is_over(record.status):
            raise ReplayIsOver(f"replay {replay_id} is over already ({record.status})")
        await self._client.hset(self._keys.replay(replay_id), "status", "cancelling")
        record.status = "cancelling"
        return record

    async def begin(self, record: ReplayRecord) -> None:
        """Say that it is carried out; a cancellation is not overwritten."""
        if record.status == "queued":
            await self._client.hset(self._keys.replay(record.replay_id), "status", "running")
            record.status = "running"

    async def note(self, record: ReplayRecord) -> bool:
        """Keep its progress; False when it is to be cancelled."""
        key = self._keys.replay(record.replay_id)
        await self._client.hset(key, mapping=record.progress())
        return bool(await self._client.hget(key, "status") != b"cancelling")

    async def end(self, record: ReplayRecord, status: ReplayStatus, error: str = "") -> None:
        """It is over."""
        record.status, record.error, record.finished_ms = status, error, int(time.time() * 1_000)
        key = self._keys.replay(record.replay_id)
        await self._client.hset(key, mapping={**record.progress(), "status": status})
        await self._client.srem(self._keys.open_replays, record.replay_id)
        await self._client.expire(key, KEPT_S)

    async def hold(self, replay_id: str, runner: str, held_ms: int) -> bool:
        """Take or keep the right to carry it out."""
        key = self._keys.replay_runner(replay_id)
        if await self._client.set(key, runner, nx=True, px=held_ms):
            return True
        if await self._client.get(key) != runner.encode():
            return False
        return bool(await self._client.pexpire(key, held_ms))

    async def let_go(self, replay_id: str, runner: str) -> None:
        """Leave it to others."""
        key = self._keys.replay_runner(replay_id)
        if await self._client.get(key) == runner.encode():
            await self._client.delete(key)
