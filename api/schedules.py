"""Schedules as their users see them, for the routes and the command line alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.problems import Problem
from api.submission import verify
from api.views import API
from consumers.schedules import Book, Kept, NoSuchSchedule, Ticker
from consumers.store.pages import Page, read_cursor, write_cursor
from schemas.schedules import ScheduleView

if TYPE_CHECKING:
    from api.services import Services
    from consumers.submit import Submitted
    from schemas.schedules import ScheduleChange


async def page_of_schedules(services: Services, tenant: str, *, cursor: str | None, limit: int) -> Page[ScheduleView]:
    """A tenant's schedules, by name.

    Raises:
        BadCursorError: The cursor is not one that a list gave.
    """
    book = _book(services)
    after = str(read_cursor(cursor, str)[0]) if cursor is not None else ""
    found = [one for one in await book.of(tenant) if one.name > after]
    shown = found[:limit]
    return Page(await _views(book, shown), write_cursor(shown[-1].name) if len(found) > limit else None)


async def one_schedule(services: Services, tenant: str, name: str) -> ScheduleView:
    """A schedule.

    Raises:
        NoSuchSchedule: The tenant has none of this name.
    """
    book = _book(services)
    (view,) = await _views(book, [await book.get(tenant, name)])
    return view


async def add_schedule(services: Services, tenant: str, name: str, plan: ScheduleChange) -> ScheduleView:
    """Make a schedule.

    Raises:
        Problem: There is one of this name, or its job is none of its flow.
    """
    verify(services, plan.job, ("job",))
    book = _book(services)
    if await book.find(f"{tenant}/{name}") is not None:
        raise Problem("name-taken", f"there is a schedule {name} already; change it, or take another name")
    now = await book.now()
    kept = Kept(tenant=tenant, name=name, plan=plan, anchor_ms=round(now.timestamp() * 1_000))
    await book.put(kept, now)
    return await one_schedule(services, tenant, name)


async def change_schedule(services: Services, tenant: str, name: str, plan: ScheduleChange) -> ScheduleView:
    """Change a schedule; it stays paused when it is.

    Raises:
        NoSuchSchedule: The tenant has none of this name.
        Problem: Its job is none of its flow.
    """
    verify(services, plan.job, ("job",))
    book = _book(services)
    kept = await book.get(tenant, name)
    await book.put(kept.model_copy(update={"plan": plan, "is_edited": True}), await book.now())
    return await one_schedule(services, tenant, name)


async def pause_schedule(
    services: Services, tenant: str, name: str, *, is_paused: bool, reason: str = ""
) -> ScheduleView:
    """Stop a schedule, or let it go on; what would have ticked meanwhile is not made up for.

    Raises:
        NoSuchSchedule: The tenant has none of this name.
    """
    book = _book(services)
    kept = await book.get(tenant, name)
    if kept.is_paused != is_paused or kept.pause_reason != reason:
        changed = kept.model_copy(update={"is_paused": is_paused, "pause_reason": reason if is_paused else ""})
        await book.put(changed, await book.now())
    return await one_schedule(services, tenant, name)


async def remove_schedule(services: Services, tenant: str, name: str) -> None:
    """Forget a schedule.

    Raises:
        NoSuchSchedule: The tenant has none of this name.
        Problem: It is a built-in one.
    """
    book = _book(services)
    kept = await book.get(tenant, name)
    if kept.is_built_in:
        raise Problem("built-in", f"schedule {name} is built in and would come back; pause it instead")
    await book.remove(kept)


async def run_schedule(services: Services, tenant: str, name: str) -> Submitted:
    """Submit a schedule's job now, once more.

    Raises:
        NoSuchSchedule: The tenant has none of this name.
        BadSpec, UnknownFlow: Its job is none of its flow any more.
    """
    return await Ticker(services.log, services.flows).run_now(await _book(services).get(tenant, name))


def _book(services: Services) -> Book:
    return Book(services.client, services.keys)


async def _views(book: Book, schedules: list[Kept]) -> list[ScheduleView]:
    times, states = await book.next_at(schedules), await book.states(schedules)
    return [
        ScheduleView(
            name=one.name, about=one.plan.about, cron=one.plan.cron, every_s=one.plan.every_s,
            time_zone=one.plan.time_zone, missed=one.plan.missed, missed_most=one.plan.missed_most, job=one.plan.job,
            is_paused=one.is_paused, pause_reason=one.pause_reason, is_built_in=one.is_built_in, next_at=at,
            last_tick_at=state.tick_ms, last_job_id=state.job_id or None, last_missed=state.missed,
            last_error=state.error or None, links=_links(one.name, state.job_id),
        )
        for one, at, state in zip(schedules, times, states, strict=True)
    ]  # fmt: skip


def _links(name: str, job_id: str) -> dict[str, str]:
    links = {"self": f"{API}/schedules/{name}", "run": f"{API}/schedules/{name}/run"}
    return links | ({"last_job": f"{API}/jobs/{job_id}"} if job_id else {})


__all__ = [
    "NoSuchSchedule", "add_schedule", "change_schedule", "one_schedule", "page_of_schedules", "pause_schedule",
    "remove_schedule", "run_schedule",
]  # fmt: skip
