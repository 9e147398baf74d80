"""Carrying a replay out: page by page, at its pace, from where whoever did it before left off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from consumers.replays.gather import Chosen, recorded
from consumers.replays.prepare import Prepared, check_there, missing_files, prepare
from consumers.replays.select import Selection
from schemas.replays import ReplayPlan, ReplayProblem
from streams.archive import Opened
from streams.errors import Refused
from streams.pace import Pace
from streams.recorded import NotRecorded
from streams.replay import open_replayed
from streams.scripts import Code
from streams.telemetry import submit_span

if TYPE_CHECKING:
    from consumers.flow import Flows
    from consumers.replays.record import ReplayRecord, Replays
    from consumers.store import Store
    from schemas.replays import ReplayRequest
    from streams.blobs import Blobs
    from streams.log import Log

HELD_MS: Final = 30_000
"""How long a replay stays with a runner that does not say anything."""

NOTED_EVERY_S: Final = 0.5
"""Progress is kept at least so often; so much is looked through again after a crash, and nothing submitted twice."""

TOGETHER: Final = 16
"""Jobs that are submitted at once when the pace allows."""

LOOKED_AT: Final = 100_000
"""Jobs that a dry run looks at."""

PROBLEMS: Final = 100


class Lost(Exception):  # noqa: N818 - it says what happened
    """Another runner has it by now."""


@dataclass(frozen=True, slots=True)
class Means:
    """What replaying needs; `opened` is what was read of the archive before."""

    log: Log
    flows: Flows
    store: Store
    blobs: Blobs
    opened: Opened = field(default_factory=Opened)

    async def prepared(
        self, jobs: Sequence[Chosen], request: ReplayRequest, replay_id: str
    ) -> list[tuple[Chosen, Prepared | NotRecorded]]:
        """Read some jobs and decide what of each runs again, or why it cannot."""
        found = await recorded(self.log, self.blobs, jobs, self.opened)
        answers: list[tuple[Chosen, Prepared | NotRecorded]] = []
        for one in jobs:
            try:
                ready = prepare(
                    found.pop(one.job_id), request, self.flows, replay_id=replay_id,
                    partitions=self.log.keys.partitions,
                )  # fmt: skip
                await check_there(ready, self.blobs, self.store)
                await asyncio.sleep(0)  # whoever else runs here is not to wait for a whole page
                answers.append((one, ready))
            except NotRecorded as lacking:
                answers.append((one, lacking))
        return answers


async def plan(
    means: Means, request: ReplayRequest, *, tenant: str, most: int = LOOKED_AT, within_s: float = 3_600
) -> ReplayPlan:
    """What a replay would do; nothing is written.

    Args:
        means: What it reads from.
        request: What to replay.
        tenant: Whose jobs.
        most: Jobs that are looked at, about.
        within_s: How long that may take; what was looked at by then is answered.

    Raises:
        ValueError: What was named is no job id.
    """
    selection = Selection(means.log, means.store, request.select, tenant=tenant, until=datetime.now(UTC))
    found, cursor, looked_at = ReplayPlan(), "", 0
    until_s = time.monotonic() + within_s
    while looked_at < most and time.monotonic() < until_s:
        page = await selection.page(cursor)
        for job_id in page.unknown:
            _lacks(found, job_id, "not_found", _not_found(job_id))
        for one, ready in await means.prepared(page.jobs, request, "dry-run"):
            if isinstance(ready, NotRecorded):
                _lacks(found, one.job_id, ready.reason, str(ready))
                continue
            cut = ready.cut
            found.jobs += 1
            found.reused += len(cut.upstream)
            found.size_bytes += cut.size_bytes
            for stage, count in cut.entries.items():
                found.entries[stage] = found.entries.get(stage, 0) + count
            begins = found.starts_at.setdefault(one.flow, {})
            begins[cut.starts_at] = begins.get(cut.starts_at, 0) + 1
            found.missing_files += await missing_files(ready, means.blobs)
        looked_at += len(page.jobs)
        if page.next is None:
            break
        cursor = page.next
    else:
        found.is_whole = False
    rate = request.rate
    amount = found.jobs if rate.jobs_per_s else sum(found.entries.values())
    found.takes_s = round(amount / (rate.jobs_per_s or rate.entries_per_s or 1.0), 1)
    return found


def _lacks(found: ReplayPlan, job_id: str, reason: str, detail: str) -> None:
    found.missing[reason] = found.missing.get(reason, 0) + 1
    if len(found.problems) < PROBLEMS:
        found.problems.append(ReplayProblem(job_id=job_id, reason=reason, detail=detail))


def _not_found(job_id: str) -> str:
    return f"no job {job_id} that fits has ended; `millrace jobs` lists those that there are"


class Run:
    """One replay in one runner's hands.

    Args:
        runner: Unique name of who does it.
        should_stop: Whether to leave it as it is, for another to go on.
        sleep: Waits; may end early when it is to stop.
    """

    def __init__(
        self,
        means: Means,
        replays: Replays,
        record: ReplayRecord,
        runner: str,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._means = means
        self._replays = replays
        self._record = record
        self._runner = runner
        self._should_stop = should_stop
        self._sleep = sleep
        rate = record.request.rate
        self._is_by_job = rate.jobs_per_s is not None
        self._pace = Pace(rate.jobs_per_s or rate.entries_per_s or 1.0)
        self._noted_s = 0.0

    async def carry_out(self) -> None:
        """Go on from where it is until it is done, cancelled, or to be left.

        Raises:
            Lost: Another runner has it.
            TransientError, redis.exceptions.RedisError, OSError: A server is away; try again later.
        """
        record, means = self._record, self._means
        if record.status == "cancelling":
            await self._cancelled()
            return
        until = datetime.fromtimestamp(record.created_ms / 1_000, UTC)
        selection = Selection(means.log, means.store, record.request.select, tenant=record.tenant, until=until)
        record.started_ms = record.started_ms or int(time.time() * 1_000)
        if record.selected is None:
            record.selected = await selection.count()
        await self._replays.begin(record)
        goes_on = await self._pages(selection)
        if not await self._note():
            await self._cancelled()
        elif goes_on:
            await self._replays.end(record, "done")

    async def _pages(self, selection: Selection) -> bool:
        """Go through the pages; False when it is to be left, or was cancelled."""
        record = self._record
        page = await selection.page(record.cursor)
        while True:
            for job_id in page.unknown:
                record.lacks(job_id, "not_found", _not_found(job_id))
            together: list[tuple[Chosen, Prepared]] = []
            for one, ready in await self._means.prepared(page.jobs, record.request, record.replay_id):
                if isinstance(ready, NotRecorded):
                    # Told in its place: what was submitted before it is noted with it.
                    await self._submit(together, selection)
                    record.lacks(one.job_id, ready.reason, str(ready))
                    record.cursor = selection.cursor_of(one)
                    continue
                if not await self._waited(ready, together, selection):
                    return False
                together.append((one, ready))
                if len(together) == TOGETHER or ready.job.is_wide:
                    await self._submit(together, selection)
            await self._submit(together, selection)
            if page.next is None:
                return True
            record.cursor = page.next
            page = await selection.page(page.next)

    async def _waited(self, ready: Prepared, together: list[tuple[Chosen, Prepared]], selection: Selection) -> bool:
        """Keep the pace; False when nothing more is to be submitted."""
        wait_s = self._pace.spend(1 if self._is_by_job else ready.entries, time.monotonic())
        free_at_s = time.monotonic() + wait_s
        if wait_s or ready.job.is_wide:
            await self._submit(together, selection)
        while not self._should_stop():
            # A slow pace must not look like a dead runner, nor hear of its cancellation late.
            if time.monotonic() - self._noted_s > NOTED_EVERY_S and not await self._note():
                return False
            left_s = free_at_s - time.monotonic()
            if left_s <= 0:
                return True
            await self._sleep(min(left_s, NOTED_EVERY_S))
        await self._submit(together, selection)
        return False

    async def _submit(self, together: list[tuple[Chosen, Prepared]], selection: Selection) -> None:
        """Submit some jobs at once, and empty the list. What failed is done again from the cursor."""
        if not together:
            return
        record = self._record
        if together[0][1].job.is_wide:
            # Should this one die while it opens the job, a cancellation finds what there is of it.
            record.opening = together[0][1].job.job_id
            await self._note()
        codes = await asyncio.gather(
            *(submit_replayed(self._means, ready) for _, ready in together), return_exceptions=True
        )
        for code in codes:
            if isinstance(code, BaseException):
                raise code
        for (one, ready), code in zip(together, codes, strict=True):
            if code == Code.CONFLICT:
                record.lacks(one.job_id, "conflict", f"the id {ready.job.job_id} is another job's")
            else:
                record.jobs += 1
                record.entries += ready.entries
        record.opening, record.cursor = "", selection.cursor_of(together[-1][0])
        together.clear()

    async def _note(self) -> bool:
        if not await self._replays.hold(self._record.replay_id, self._runner, HELD_MS):
            raise Lost(self._record.replay_id)
        self._noted_s = time.monotonic()
        return await self._replays.note(self._record)

    async def fail(self, error: str) -> None:
        """Give it up."""
        await self._drop_half_opened("its replay failed")
        await self._replays.end(self._record, "failed", error)

    async def _cancelled(self) -> None:
        await self._drop_half_opened("its replay was cancelled")
        await self._replays.end(self._record, "cancelled")

    async def _drop_half_opened(self, reason: str) -> None:
        if self._record.opening:
            with suppress(Refused):
                await self._means.log.cancel(self._record.opening, reason=reason)
            self._record.opening = ""


async def submit_replayed(means: Means, ready: Prepared) -> Code:
    """Give a job what it takes over, then open it. As often as wanted: it is one job."""
    job, cut = ready.job, ready.cut
    with_result = cut.starts_at == "notify"
    if cut.upstream or with_result:
        await means.store.inherited.take(
            job.job_id, job.origin, cut.upstream, ready.failures, tenant=job.tenant, with_result=with_result
        )
    with submit_span(job.flow, job.job_id, None) as traceparent:
        return await open_replayed(means.log, replace(job, traceparent=traceparent))
