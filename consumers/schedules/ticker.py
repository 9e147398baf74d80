"""Ticking: what is due is submitted under the identity (schedule, tick), so that each tick is exactly one job."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from redis.exceptions import RedisError

from consumers.flow import Flows
from consumers.schedules.book import Book, Kept, State
from consumers.schedules.ticks import due
from consumers.submit import Submitted, submit
from streams.connect import AWAY
from streams.errors import Refused
from streams.findings import Finding, Findings
from streams.keys import job_id_for
from streams.log import Log
from streams.pressure import MEMORY_SHARE, Overloaded, Pressure
from streams.scripts import Code

logger = logging.getLogger(__name__)

MAINTENANCE: Final = "maintenance"
"""The flow that goes on under back-pressure: it is what ends that."""

GIVE_UP: Final = timedelta(minutes=5)
"""How long a tick that cannot be submitted here is left to others, who may have its flow."""


class Ticker:
    """Submits what is due. Any number of processes may: the same tick gives the same job."""

    def __init__(self, log: Log, flows: Flows, *, memory_share: float = MEMORY_SHARE) -> None:
        self.book = Book(log.client, log.keys)
        self._log = log
        self._flows = flows
        self._pressure = Pressure(log.client, log.keys, share=memory_share)

    async def run_due(self, now: datetime) -> int:
        """Submit every tick that is due at `now`; answers how many jobs are new.

        Raises:
            RedisError: The server is away or full; what was not submitted is at the next call.
        """
        new = 0
        for schedule, first in await self.book.due(now):
            if schedule.plan.job.flow == MAINTENANCE or not await self._pressure.said():
                new += await self._tick(schedule, first, now)
        return new

    async def run_now(self, schedule: Kept) -> Submitted:
        """Submit a schedule's job once more, whatever its time; its ticks stay as they are.

        Raises:
            BadSpec, UnknownFlow: As `submit`.
        """
        return await submit(self._log, self._flows, schedule.plan.job, tenant=schedule.tenant)

    async def _tick(self, schedule: Kept, first: datetime, now: datetime) -> int:
        what = due(schedule.plan, schedule.anchor, first, now)
        new, state = 0, None
        for tick in what.run:
            try:
                done = await self._submit(schedule, tick)
            except (*AWAY, RedisError):
                raise
            except Overloaded as error:  # the tick waits, and is not given up
                await self.book.note(schedule, State(error=str(error)))
                return new
            except Exception as error:  # noqa: BLE001 - a flow's own code looked at the spec
                if now - first < GIVE_UP:
                    logger.warning("schedule %s is not submitted here yet: %s", schedule.field, error)
                    await self.book.note(schedule, State(error=str(error)))
                    return new
                await self._give_up(schedule, tick, error)
                state = State(_ms(tick), "", what.missed, str(error))
                continue
            new += done.is_new
            state = State(_ms(tick), done.job_id, what.missed)
        if state is not None:
            await self.book.note(schedule, state)
        elif what.missed:
            (before,) = await self.book.states([schedule])
            await self.book.note(schedule, State(before.tick_ms, before.job_id, what.missed, before.error))
        # Behind the last submission: should this process die between the two, the next one submits the same again.
        await self.book.advance(schedule, what.next_at)
        return new

    async def _submit(self, schedule: Kept, tick: datetime) -> Submitted:
        identity = f"schedule {schedule.field} {tick.astimezone(UTC).isoformat()}"
        try:
            done = await submit(
                self._log, self._flows, schedule.plan.job, identity=identity, tenant=schedule.tenant,
                is_owed=schedule.plan.job.flow == MAINTENANCE,
            )  # fmt: skip
        except Refused as refusal:
            if refusal.code not in {Code.CONFLICT, Code.NOT_PENDING}:
                raise
            # The tick was submitted before the schedule was changed; or it is in the log, though few replicas said so.
            logger.warning("schedule %s: %s", schedule.field, refusal)
            return Submitted(job_id_for(identity, self._log.keys.partitions), "", is_new=False)
        if done.is_new:
            logger.info("schedule %s: job %s for %s", schedule.field, done.job_id, tick.isoformat())
        return done

    async def _give_up(self, schedule: Kept, tick: datetime, error: Exception) -> None:
        said = f"schedule {schedule.field} could not submit its job of {tick.isoformat()}: {error}"
        cure = f"correct it (`millrace schedule show {schedule.name}`) or install the flow it names"
        await Findings(self._log.client, self._log.keys).note(
            Finding("schedule_not_submitted", schedule.field, said, cure, _ms(tick))
        )


def _ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000)
