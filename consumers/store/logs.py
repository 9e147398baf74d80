"""Jobs' logs: capped per job, read by cursor, shipped from workers without ever holding them up."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import select, text

from consumers.store.cleaning import clean_text, dump_json
from consumers.store.models import JobLog
from consumers.store.pages import checked_limit
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from types import TracebackType

    from consumers.store.database import Database

log = logging.getLogger(__name__)

MAX_LINES: Final = 10_000
MAX_BYTES: Final = 1024 * 1024
MAX_LINE_BYTES: Final = 16 * 1024
"""A longer message is cut; fields that are larger are replaced by a word about it."""

BATCH_LINES: Final = 1_000
SHIP_EVERY_S: Final = 0.2
RETRY_S: Final = (0.5, 10.0)

_TOTALS = text("""
    INSERT INTO job_log_totals AS old (job_id, tenant, lines, size_bytes)
    SELECT * FROM unnest(
        CAST(:job_id AS text[]), CAST(:tenant AS text[]), CAST(:lines AS bigint[]), CAST(:size_bytes AS bigint[]))
    ON CONFLICT (job_id) DO UPDATE SET
        lines = old.lines + excluded.lines, size_bytes = old.size_bytes + excluded.size_bytes
    RETURNING job_id, lines, size_bytes
""")

_COLUMNS: Final = ("job_id", "tenant", "at", "level", "message", "fields", "trace_id", "task", "stage", "attempt")

_LINES = text("""
    INSERT INTO job_logs (job_id, tenant, at, level, message, fields, trace_id, task, stage, attempt)
    SELECT * FROM unnest(
        CAST(:job_id AS text[]), CAST(:tenant AS text[]), CAST(:at AS timestamptz[]), CAST(:level AS text[]),
        CAST(:message AS text[]), CAST(CAST(:fields AS text[]) AS jsonb[]), CAST(:trace_id AS text[]),
        CAST(:task AS bigint[]), CAST(:stage AS text[]), CAST(:attempt AS bigint[]))
""")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a job's log on its way in.

    Attributes:
        fields: JSON values.
    """

    job_id: str
    tenant: str
    at: datetime
    level: str
    message: str
    fields: dict[str, Any] = field(default_factory=dict)
    trace_id: str | None = None
    task: int | None = None
    stage: str | None = None
    attempt: int | None = None


class Logs:
    """The logs of jobs. Every method raises `TransientError` when the database is down.

    Args:
        database: Where they are kept.
        max_lines: Lines kept of a job.
        max_bytes: Bytes of messages and fields kept of a job.
    """

    def __init__(self, database: Database, *, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> None:
        self._database = database
        self._max_lines = max_lines
        self._max_bytes = max_bytes

    async def append(self, lines: Sequence[LogLine]) -> int:
        """Add lines in one transaction.

        What exceeds a job's cap is left out; one line, "log was capped", says so.

        Returns:
            How many of the lines were kept.
        """
        jobs: dict[str, list[_Row]] = defaultdict(list)
        for line in lines:
            jobs[line.job_id].append(_row(line))
        if not jobs:
            return 0
        # One order for all writers, so that two batches cannot wait for each other.
        names = sorted(jobs)
        async with self._database.begin() as session:
            totals = await session.execute(
                _TOTALS,
                {
                    "job_id": names,
                    "tenant": [jobs[name][0].values[1] for name in names],
                    "lines": [len(jobs[name]) for name in names],
                    "size_bytes": [sum(row.size_bytes for row in jobs[name]) for name in names],
                },
            )
            kept = 0
            rows: list[_Row] = []
            for job_id, total_lines, total_bytes in totals:
                fitting = self._fitting(jobs[job_id], total_lines, total_bytes)
                kept += len(fitting)
                rows += fitting
                if len(fitting) < len(jobs[job_id]) and self._was_open(jobs[job_id], total_lines, total_bytes):
                    rows.append(self._capped(jobs[job_id][len(fitting)]))
            if rows:
                columns = zip(*(row.values for row in rows), strict=True)
                await session.execute(_LINES, dict(zip(_COLUMNS, map(list, columns), strict=True)))
        return kept

    async def read(self, job_id: str, *, tenant: str, after: int = 0, limit: int = 500) -> list[JobLog]:
        """Lines of a job in order, those after the `seq` of the last one seen.

        Args:
            job_id: Whose.
            tenant: Whose.
            after: `seq` of the last line seen, 0 to begin.
            limit: Most lines, 1 to 1,000.
        """
        query = (
            select(JobLog)
            .where(JobLog.job_id == job_id, JobLog.tenant == tenant, JobLog.seq > after)
            .order_by(JobLog.seq)
            .limit(checked_limit(limit))
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    def _fitting(self, rows: list[_Row], total_lines: int, total_bytes: int) -> list[_Row]:
        lines = total_lines - len(rows)
        size_bytes = total_bytes - sum(row.size_bytes for row in rows)
        for index, row in enumerate(rows):
            lines += 1
            size_bytes += row.size_bytes
            if lines > self._max_lines or size_bytes > self._max_bytes:
                return rows[:index]
        return rows

    def _was_open(self, rows: list[_Row], total_lines: int, total_bytes: int) -> bool:
        before_bytes = total_bytes - sum(row.size_bytes for row in rows)
        return total_lines - len(rows) <= self._max_lines and before_bytes <= self._max_bytes

    def _capped(self, row: _Row) -> _Row:
        job_id, tenant, at, *_ = row.values
        message = f"log was capped: a job keeps {self._max_lines:,} lines or {self._max_bytes:,} bytes"
        return _Row((job_id, tenant, at, "warning", message, None, None, None, None, None), 0)


class LogShipper:
    """Carries log lines to the database in the background.

    `put` only appends to a bounded buffer. While the database is down lines wait there; when it is full, further
    ones are dropped and counted. The work never waits and never fails for its log.

    Args:
        logs: Where the lines go.
        max_buffered: Most lines that wait.

    Attributes:
        dropped: Lines lost since the start.
    """

    def __init__(self, logs: Logs, *, max_buffered: int = 20_000) -> None:
        self.dropped = 0
        self._logs = logs
        self._max_buffered = max_buffered
        self._lines: deque[LogLine] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def put(self, line: LogLine) -> None:
        """Take a line, or count it as dropped."""
        if len(self._lines) >= self._max_buffered:
            self.dropped += 1
            return
        self._lines.append(line)
        self._empty.clear()
        self._wake.set()

    def start(self) -> None:
        """Begin to carry; needs a running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._ship(), name="log-shipper")

    async def flush(self, within_s: float) -> bool:
        """Wait until every line is in the database; False when that took longer."""
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, within_s: float = 5.0) -> None:
        """Carry what waits, for at most `within_s` seconds, and count the rest as dropped."""
        if self._task is None:
            return
        await self.flush(within_s)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        self.dropped += len(self._lines)
        self._lines.clear()

    async def _ship(self) -> None:
        retry_s = RETRY_S[0]
        while True:
            await self._wake.wait()
            batch = list(islice(self._lines, BATCH_LINES))
            try:
                await self._logs.append(batch)
            except TransientError as error:
                log.warning("job logs wait in memory (%d lines, %d dropped): %s", len(self._lines), self.dropped, error)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, RETRY_S[1])
                continue
            except Exception:
                # A batch the database refuses must not stand in the way of the next.
                log.exception("%d lines of job logs were refused and dropped", len(batch))
                self.dropped += len(batch)
            retry_s = RETRY_S[0]
            for _ in batch:
                self._lines.popleft()
            if not self._lines:
                self._wake.clear()
                self._empty.set()
                await asyncio.sleep(SHIP_EVERY_S)


@dataclass(frozen=True, slots=True)
class _Row:
    values: tuple[Any, ...]
    size_bytes: int


def _row(line: LogLine) -> _Row:
    message = clean_text(line.message)
    if len(message.encode()) > MAX_LINE_BYTES:
        message = message.encode()[:MAX_LINE_BYTES].decode(errors="ignore") + " [cut]"
    fields = _fields(line.fields)
    values = (
        line.job_id, line.tenant, line.at, line.level, message, fields, line.trace_id, line.task, line.stage,
        line.attempt,
    )  # fmt: skip
    return _Row(values, len(message.encode()) + len((fields or "").encode()))


def _fields(fields: dict[str, Any]) -> str | None:
    if not fields:
        return None
    try:
        written = dump_json(fields)
    except (TypeError, ValueError):
        written = dump_json({name: str(value) for name, value in fields.items()})
    size_bytes = len(written.encode())
    return written if size_bytes <= MAX_LINE_BYTES else dump_json({"fields_left_out": f"{size_bytes} bytes"})
