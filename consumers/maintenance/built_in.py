"""The built-in schedules: when each chore is done, unless an operator says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from consumers.flow import Flows
from consumers.schedules.book import Book, Kept
from schemas.schedules import ScheduleChange
from schemas.settings import Settings

TENANT: Final = "default"
FLOW: Final = "maintenance"
LEADS: Final = "leads_maintenance"
SHORT_S: Final = 3_600
"""How long the result of a chore is kept that is done many times a day."""
LONG_S: Final = 30 * 86_400


def built_in(settings: Settings) -> Iterator[tuple[str, ScheduleChange]]:
    """Name and plan of each."""
    yield "clean-up", _plan("clean_up", "removes old results, history and logs", cron="30 3 * * *")
    yield "sweep", _plan("sweep", "lets go of archives and payloads that nothing refers to", cron="30 4 * * *")
    yield "erase", _plan("erase", "erases what was asked to be erased", every_s=300, ttl_s=SHORT_S)
    yield "stale-jobs", _plan("stale", "repairs what got stuck", every_s=900, ttl_s=SHORT_S)
    yield "health", _plan("health", "sees whether work flows", every_s=30, ttl_s=SHORT_S, missed="skip")
    yield "memory", _plan("memory", "holds submissions back before Redis is full", every_s=300, ttl_s=SHORT_S)
    yield (
        "digest",
        _plan(
            "digest", "mails what happened, when something did", cron=f"0 {settings.digest_hour} * * *",
            time_zone=settings.digest_time_zone,
        ),
    )  # fmt: skip
    yield "leads-clean-up", _plan("clean_up", "lets go of old pages of leads' websites", LEADS, cron="0 5 * * *")
    yield "leads-dedupe", _plan("dedupe", "merges leads that are one business", LEADS, cron="15 5 * * *")
    yield "leads-statistics", _plan("statistics", "takes the figures of the lead books", LEADS, cron="30 5 * * *")


async def keep_built_in(book: Book, settings: Settings, flows: Flows, now: datetime) -> None:
    """Have the built-in schedules in the book as this version and these settings want them; edited ones stay."""
    for name, plan in built_in(settings):
        if plan.job.flow not in flows.by_name:
            continue
        known = await book.find(f"{TENANT}/{name}")
        if known is None:
            anchor_ms = round(now.timestamp() * 1_000)
            await book.put(Kept(tenant=TENANT, name=name, plan=plan, anchor_ms=anchor_ms, is_built_in=True), now)
        elif known.plan != plan and not known.is_edited:
            await book.put(known.model_copy(update={"plan": plan}), now)


def _plan(chore: str, about: str, flow: str = FLOW, *, ttl_s: int = LONG_S, **timing: Any) -> ScheduleChange:
    job = {"flow": flow, "spec": {"chore": chore}, "priority": "low", "result_ttl_s": ttl_s}
    return ScheduleChange.model_validate({"about": about, "missed": "run_once", **timing, "job": job})
