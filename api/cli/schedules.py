"""Commands about schedules: jobs that are submitted again and again."""

import re
from typing import Annotated, Any, Final

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, instant_text, next_step, print_json, print_table, say

schedule = typer.Typer(no_args_is_help=True, help="Schedules: jobs that are submitted again and again.")

Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name.", show_default=False)]
UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}


@schedule.command("list")
def schedule_list(*, as_json: Json = False) -> None:
    """List the schedules: when each ran last, and when it is next."""
    from api.cli.lookup import TENANT, here
    from api.schedules import page_of_schedules

    async def ask() -> list[Any]:
        found, cursor = [], None
        async with here() as services:
            while True:
                page = await page_of_schedules(services, TENANT, cursor=cursor, limit=200)
                found += page.items
                cursor = page.next
                if cursor is None:
                    return found

    found = run(ask())
    if as_json:
        for one in found:
            print_json(one.model_dump(mode="json"))
        return
    if not found:
        say("No schedules: a worker makes the built-in ones when it starts.")
        next_step(("schedule add NAME FLOW --cron '30 2 * * *'", "makes one"))
        return
    print_table(
        ("schedule", "when", "flow", "next", "last", "last job"),
        [
            (one.name, _when(one), one.job.flow, "paused" if one.is_paused else instant_text(one.next_at),
             instant_text(one.last_tick_at), one.last_error or one.last_job_id)
            for one in found
        ],
    )  # fmt: skip
    next_step(("schedule show SCHEDULE", "shows one"), ("schedule run SCHEDULE", "submits its job now"))


@schedule.command("add")
def schedule_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, '-'.", show_default=False)],
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="Of its jobs.", show_default=False)],
    *,
    spec: Annotated[str, typer.Option("--spec", metavar="JSON|@FILE", help="What the flow needs.")] = "{}",
    cron: Annotated[
        str | None, typer.Option(metavar="'M H DOM MON DOW'", help="Five fields of cron.", show_default=False)
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="30s|15m|2h|1d", help="In place of --cron.", show_default=False)
    ] = None,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="IANA time zone of --cron.")] = "UTC",
    missed: Annotated[
        str, typer.Option(metavar="skip|run_once|run_all", help="What becomes of runs missed while nothing ran.")
    ] = "run_once",
    missed_most: Annotated[int, typer.Option(min=1, max=1_000, help="Runs at most with run_all.")] = 10,
    priority: Annotated[str, typer.Option(metavar="high|normal|low", help="Of its jobs.")] = "normal",
    about: Annotated[str, typer.Option(metavar="TEXT", help="A line for people.")] = "",
    as_json: Json = False,
) -> None:
    """Make a schedule; its first tick is the next one behind now."""
    from pydantic import ValidationError

    from api.audit import cli_actor, record
    from api.cli.lookup import TENANT, here
    from api.cli.spec_options import payload_from
    from api.problems import Problem
    from api.schedules import add_schedule
    from schemas.schedules import ScheduleRequest

    job = {"flow": flow, "spec": payload_from(spec), "priority": priority}
    asked = {
        "name": name, "cron": cron, "every_s": seconds_of(every) if every else None, "time_zone": time_zone,
        "missed": missed, "missed_most": missed_most, "about": about, "job": job,
    }  # fmt: skip
    try:
        plan = ScheduleRequest.model_validate(asked)
    except ValidationError as error:
        raise Usage(
            "; ".join(
                f"{_option(one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
                for one in error.errors(include_url=False, include_input=False, include_context=False)
            )
        ) from None

    async def act() -> Any:
        async with here() as services:
            try:
                made = await add_schedule(services, TENANT, name, plan)
            except Problem as problem:
                raise Usage(problem.detail) from None
            await record(services, cli_actor(), "schedules.post", f"schedules/{name}")
            return made

    view = run(act())
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    say(f"Schedule {name}: {_when(view)}, next {instant_text(view.next_at)}.")
    next_step((f"schedule show {name}", "shows it"), (f"schedule run {name}", "submits its job now"))


@schedule.command("show")
def schedule_show(name: Name, *, as_json: Json = False) -> None:
    """Show a schedule: its job, its last tick and its next."""
    from api.cli.lookup import TENANT, here
    from api.schedules import one_schedule

    async def ask() -> Any:
        async with here() as services:
            return await one_schedule(services, TENANT, name)

    view = run(ask())
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    rows = [
        ("schedule", name), ("about", view.about), ("when", _when(view)),
        ("missed runs", f"{view.missed} (at most {view.missed_most})" if view.missed == "run_all" else view.missed),
        ("next", f"paused: {view.pause_reason or 'no reason given'}" if view.is_paused else instant_text(view.next_at)),
        ("last", instant_text(view.last_tick_at)), ("last job", view.last_job_id),
        ("left out", view.last_missed or None), ("error", view.last_error),
        ("job", view.job.model_dump_json(exclude_defaults=True)),
    ]  # fmt: skip
    print_table(("", ""), [row for row in rows if row[1]])
    next_step(
        (f"schedule run {name}", "submits its job now"),
        (
            f"schedule {'resume' if view.is_paused else 'pause'} {name}",
            "lets it go on" if view.is_paused else "stops it",
        ),
    )


@schedule.command("pause")
def schedule_pause(
    name: Name,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown in the list.")] = "",
    as_json: Json = False,
) -> None:
    """Stop a schedule; what would have ticked meanwhile is not made up for."""
    _pause(name, is_paused=True, reason=reason, as_json=as_json)


@schedule.command("resume")
def schedule_resume(name: Name, *, as_json: Json = False) -> None:
    """Let a paused schedule go on, from its next tick."""
    _pause(name, is_paused=False, reason="", as_json=as_json)


@schedule.command("remove")
def schedule_remove(name: Name, *, as_json: Json = False) -> None:
    """Forget a schedule; jobs that it has submitted run on."""
    from api.audit import cli_actor, record
    from api.cli.lookup import TENANT, here
    from api.problems import Problem
    from api.schedules import remove_schedule

    async def act() -> None:
        async with here() as services:
            try:
                await remove_schedule(services, TENANT, name)
            except Problem as problem:
                raise Usage(problem.detail) from None
            await record(services, cli_actor(), "schedules.delete", f"schedules/{name}")

    run(act())
    if as_json:
        print_json({"removed": name})
        return
    say(f"Schedule {name} is gone.")
    next_step(("schedule list", "lists what is left"))


@schedule.command("run")
def schedule_run(name: Name, *, as_json: Json = False) -> None:
    """Submit a schedule's job now; its ticks stay as they are."""
    from api.audit import cli_actor, record
    from api.cli.lookup import TENANT, here
    from api.schedules import run_schedule

    async def act() -> Any:
        async with here() as services:
            submitted = await run_schedule(services, TENANT, name)
            await record(services, cli_actor(), "schedules.run", f"schedules/{name}", {"job": submitted.job_id})
            return submitted

    done = run(act())
    if as_json:
        print_json({"job_id": done.job_id, "trace_id": done.trace_id})
        return
    say(f"Job {done.job_id} of schedule {name}.")
    next_step((f"job {done.job_id}", "shows it"))


def _pause(name: str, *, is_paused: bool, reason: str, as_json: bool) -> None:
    from api.audit import cli_actor, record
    from api.cli.lookup import TENANT, here
    from api.schedules import pause_schedule

    async def act() -> Any:
        async with here() as services:
            view = await pause_schedule(services, TENANT, name, is_paused=is_paused, reason=reason)
            action = "schedules.pause" if is_paused else "schedules.resume"
            await record(services, cli_actor(), action, f"schedules/{name}", {"reason": reason})
            return view

    view = run(act())
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    say(f"Schedule {name} is paused." if is_paused else f"Schedule {name} goes on, next {instant_text(view.next_at)}.")
    next_step((f"schedule resume {name}", "lets it go on") if is_paused else ("schedule list", "lists all"))


def _when(view: Any) -> str:
    if view.every_s is not None:
        unit = next(unit for unit in ("d", "h", "m", "s") if view.every_s % UNITS[unit] == 0)
        return f"every {view.every_s // UNITS[unit]} {unit}"
    return f"{view.cron} {view.time_zone}"


def seconds_of(text: str) -> int:
    """Seconds of ``30s``, ``15m``, ``2h`` or ``1d``.

    Raises:
        Usage: It is none of these.
    """
    match = re.fullmatch(r"([0-9]{1,9}) ?(s|m|min|h|d)", text.strip())
    if match is None:
        raise Usage(f"--every {text!r}: give a number and a unit, as 30s, 15m, 2h or 1d")
    return int(match[1]) * UNITS[match[2]]


def _option(place: tuple[Any, ...]) -> str:
    """How the command line calls a place in the request."""
    names = [str(part) for part in place if part != "job"]
    if not names:
        return "--cron, --every"
    return {"every_s": "--every", "name": "NAME", "flow": "FLOW"}.get(
        names[0], "--" + "-".join(names).replace("_", "-")
    )
