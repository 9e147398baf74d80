"""Watching a company again and again: a schedule of its own, for the routes and the command line alike."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from api.filings_jobs import TaskOptions, company_job
from api.schedules import add_schedule, change_schedule, remove_schedule
from consumers.schedules import NoSuchSchedule
from schemas.jobs import NotifySpec
from schemas.schedules import ScheduleChange, Timing

if TYPE_CHECKING:
    from api.services import Services
    from consumers.store.models import Company
    from schemas.schedules import ScheduleView


class WatchRequest(Timing):
    """When to look, and whom to tell of a new filing or a restatement."""

    notify: NotifySpec | None = None


def schedule_of(company_id: str) -> str:
    """The name of a company's schedule."""
    return f"watch-{company_id}"


async def watch(services: Services, company: Company, asked: WatchRequest) -> ScheduleView:
    """Look at a company's site by a schedule from now on, in place of the one that there was.

    Raises:
        Problem: The job is none that can be submitted.
    """
    job = company_job(company, TaskOptions(notify=asked.notify), watch=True)
    plan = ScheduleChange(
        job=job, about=f"watches {company.name or company.url or company.id}", **asked.model_dump(exclude={"notify"})
    )
    name = schedule_of(company.id)
    try:
        return await change_schedule(services, company.tenant, name, plan)
    except NoSuchSchedule:
        return await add_schedule(services, company.tenant, name, plan)


async def unwatch(services: Services, company: Company) -> None:
    """Look no more; nothing happens when nobody did."""
    with suppress(NoSuchSchedule):
        await remove_schedule(services, company.tenant, schedule_of(company.id))
