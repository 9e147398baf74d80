"""The analytics' process: elected by a lock with a lease, it reads back, follows, shows windows and decides alerts.

Beside the stages, never in their way: it reads lifecycle without a group and writes a few keys of its own. When it is
gone, the numbers stand still, another process is elected, and that one reads back to where they would be.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from mode import Service

from consumers.agents import BrokerlessApp
from consumers.analytics.follow import Follower
from consumers.analytics.keep import Kept
from consumers.analytics.queues import Queue, queues
from consumers.analytics.rules import Alert, StageFigures, Thresholds, decide, readings
from consumers.analytics.shown import WINDOWS
from consumers.analytics.tell import Teller
from consumers.net.fetch import Fetcher, FetcherConfig
from streams.connect import AWAY, connect
from streams.errors import MillraceError
from streams.keys import Keys
from streams.log import Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from consumers.flow import Flows
    from schemas.settings import Settings

logger = logging.getLogger(__name__)

LEASE_MS: Final = 10_000
RENEW_S: Final = 2.5
DECIDE_MS: Final = 5_000
MOST_OPEN: Final = 500
"""Places whose open tasks are shown, those with the oldest first."""


class Analytics(Service):
    """One candidate for the elected process. `tell` carries news of alerts to mail and webhook.

    Attributes:
        leads: Whether it is the elected one.
    """

    def __init__(
        self, settings: Settings, redis_url: str, tell: Callable[[Alert, str], Awaitable[None]] | None = None
    ) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.leads = False
        self.follower: Follower | None = None
        self._keys = Keys(settings.namespace, settings.partitions)
        self._redis_url = redis_url
        self._client = connect(redis_url)
        self._kept = Kept(self._client, self._keys)
        self._tell = tell
        self._thresholds = Thresholds(
            settings.alert_queue, settings.alert_failure_rate, settings.alert_quiet_minutes, settings.alert_dlq
        )
        self._app: BrokerlessApp | None = None
        self._decided_ms = 0
        self._finished_ms = 0
        self._looked_ms = 0
        super().__init__()

    @Service.task
    async def _elect(self) -> None:
        while not self.should_stop:
            try:
                leads = await self._kept.lead(self.name, LEASE_MS)
            except AWAY as error:
                logger.warning("analytics wait: %s", error)
                leads = False
            if leads and self._app is None:
                await self._begin()
            elif not leads and self._app is not None:
                await self._end()
            self.leads = leads
            await self.sleep(RENEW_S)

    async def on_shutdown(self) -> None:
        """Let another one lead."""
        await self._end()
        try:
            await self._kept.step_down(self.name)
        except AWAY as error:
            logger.debug("the lead was not given up: %s", error)
        await self._client.aclose()

    async def _begin(self) -> None:
        logger.info("analytics: %s leads, and reads back", self.name)
        self._app = BrokerlessApp("millrace-analytics")
        self.follower = Follower(self._app, self._redis_url, self._keys, self._on_tick)
        self._app.also_start(self.follower)
        self._looked_ms = 0
        await self._app.start()

    async def _end(self) -> None:
        if self._app is not None:
            await self._app.stop()
            self._app = self.follower = None

    async def _on_tick(self) -> None:
        follower = self.follower
        if follower is None:
            return
        try:
            await self._show(follower)
        except AWAY as error:
            logger.warning("analytics are not shown: %s", error)

    async def _show(self, follower: Follower) -> None:
        now_ms = follower.now_ms
        windows = {spec.name: follower.windows.view(spec, now_ms) for spec in WINDOWS} if follower.is_caught_up else {}
        state: dict[str, Any] = {
            "at_ms": now_ms, "by": self.name, "entries": follower.entries, "late": follower.late,
            "is_restored": follower.is_caught_up, "newest_ms": follower.counter.newest_ms,
        }  # fmt: skip
        if follower.is_caught_up:
            waiting = await queues(self._client, self._keys)
            state["queues"] = {stage: asdict(queue) for stage, queue in waiting.items()}
            state["open"] = _open_view(follower)
            if now_ms - self._decided_ms >= DECIDE_MS:
                self._decided_ms = now_ms
                await self._decide(follower, waiting, now_ms)
        await self._kept.publish(windows, state)

    async def _decide(self, follower: Follower, waiting: dict[str, Queue], now_ms: int) -> None:
        windows, kept = follower.windows, self._kept
        five = {stage: windows.total("5m", now_ms, stage=stage) for stage in waiting}
        quarter = windows.total("15m", now_ms)
        self._looked_ms = self._looked_ms or now_ms
        self._finished_ms = max(self._finished_ms, follower.counter.finished_ms)
        stages = {
            stage: StageFigures(queue.waiting, five[stage].done, five[stage].failed) for stage, queue in waiting.items()
        }
        known, silences = await kept.alerts(), await kept.silences()
        changed = []
        for reading in readings(
            stages, open_tasks=sum(queue.waiting + queue.held for queue in waiting.values()),
            quiet_s=(now_ms - max(self._finished_ms, self._looked_ms)) / 1_000,
            dead=quarter.failed - quarter.redriven, thresholds=self._thresholds,
        ):  # fmt: skip
            before = Alert(reading.rule, reading.subject)
            before = known.get(before.key, before)
            after, is_news = decide(before, reading, now_ms)
            if after != before:
                changed.append(after)
            if is_news:
                is_silenced = reading.rule in silences
                entry_id = await kept.tell(after, now_ms, is_silenced=is_silenced)
                logger.warning("alert %s %s: %s", after.key, "fires" if after.is_firing else "is over", after.said)
                if not is_silenced and self._tell is not None:
                    await self._spread(after, entry_id)
        await kept.note(changed)

    async def _spread(self, alert: Alert, entry_id: str) -> None:
        assert self._tell is not None  # noqa: S101 - looked at before
        try:
            await self._tell(alert, entry_id)
        except (*AWAY, MillraceError, TimeoutError) as error:
            logger.error("nobody was told of alert %s: %s", alert.key, error)  # noqa: TRY400 - it is told in full


def _open_view(follower: Follower) -> list[dict[str, Any]]:
    oldest = sorted(follower.counter.oldest_ms().items(), key=lambda one: one[1][1])[:MOST_OPEN]
    return [{**place._asdict(), "open": count, "oldest_ms": since_ms} for place, (count, since_ms) in oldest]


async def run(settings: Settings, redis_url: str, flows: Flows, told: asyncio.Event) -> None:
    """Be a candidate until told to stop, and tell of alerts as the settings say."""
    log_client = connect(redis_url)
    async with Fetcher(FetcherConfig(allow_hosts=settings.allow_hosts)) as fetch:
        log = Log(
            log_client, Keys(settings.namespace, settings.partitions), flows, record_ttl_s=settings.record_ttl_s
        )  # fmt: skip
        analytics = Analytics(settings, redis_url, Teller(settings, log, flows, fetch).tell)
        await analytics.start()
        ends = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(analytics.wait_until_stopped())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await analytics.stop()
        if analytics.crash_reason is not None:
            logger.error("the analytics crashed: %r; they are started again", analytics.crash_reason)
    await log_client.aclose()
