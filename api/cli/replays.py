"""`millrace replay`: jobs again, or a stream's entries into another stream."""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import (
    Json,
    bytes_text,
    duration_text,
    instant_text,
    memo_text,
    next_step,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from api.services import Services
    from schemas.replays import ReplayPlan, ReplayRate, ReplayRequest, ReplayView

FOLLOW_EVERY_S = 0.3
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

replay = typer.Typer(
    invoke_without_command=True,
    help="Run jobs again, from any stage, as new jobs that name their origin; or copy a stream's entries.",
    epilog="Without --fetch nothing is fetched: what stages that ask sites gave then is used again. A worker carries "
    "the replay out; it goes on after a crash, and submits nothing twice.",
)

SELECT = "Which jobs (all that is given must hold)"
HOW = "How"
RAW = "A stream's entries"


@replay.callback()
def start(
    context: typer.Context,
    *,
    job: Annotated[list[str] | None, typer.Option(help="This job; may be given again.", rich_help_panel=SELECT)] = None,
    flow: Annotated[str | None, typer.Option(help="Of this flow.", rich_help_panel=SELECT)] = None,
    stage: Annotated[
        str | None, typer.Option(help="That had work (with --dlq: dead letters) there.", rich_help_panel=SELECT)
    ] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="That ended so; may be given again.", rich_help_panel=SELECT)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Submitted from then on: 2026-01-31T08:00, or 90m, 2h, 7d ago.",
                     rich_help_panel=SELECT),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Submitted before then.", rich_help_panel=SELECT)
    ] = None,
    dlq: Annotated[bool, typer.Option("--dlq", help="That have dead letters now.", rich_help_panel=SELECT)] = False,
    from_stage: Annotated[
        str, typer.Option(metavar="STAGE", help="The first stage that runs again.", rich_help_panel=HOW)
    ] = "crawl",
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Ask sites again instead of using what they gave.", rich_help_panel=HOW)
    ] = False,
    rate: Annotated[
        str, typer.Option(metavar="RATE", help="Entries a second, or jobs: 200, '20 jobs/s'.", rich_help_panel=HOW)
    ] = "500",
    priority: Annotated[str, typer.Option(help="Of the new jobs.", rich_help_panel=HOW)] = "low",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.", rich_help_panel=HOW)] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until it is over.", rich_help_panel=HOW)] = False,
    stream: Annotated[
        str | None, typer.Option(metavar="KEY", help="Copy entries of this stream instead.", rich_help_panel=RAW)
    ] = None,
    from_id: Annotated[str, typer.Option(metavar="ID", help="The first entry.", rich_help_panel=RAW)] = "-",
    to_id: Annotated[str, typer.Option(metavar="ID", help="The last entry.", rich_help_panel=RAW)] = "+",
    into: Annotated[
        str | None, typer.Option(metavar="KEY", help="The stream that they are added to.", rich_help_panel=RAW)
    ] = None,
    print_: Annotated[bool, typer.Option("--print", help="Print them instead.", rich_help_panel=RAW)] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also into the stream that is read.", rich_help_panel=RAW)
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the same copy where it was interrupted.", rich_help_panel=RAW)
    ] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Run jobs again, from any stage, as new jobs that name their origin; or copy a stream's entries."""
    if context.invoked_subcommand is not None:
        return
    if stream is not None:
        from api.cli.raw_replay import copy_stream

        copy_stream(
            stream, from_id=from_id, to_id=to_id, into=into, is_printed=print_, force=force, resume=resume,
            rate=entries_per_s(rate), dry_run=dry_run, as_json=as_json,
        )  # fmt: skip
        return
    if into or print_ or force or resume or (from_id, to_id) != ("-", "+"):
        raise Usage("--from-id, --to-id, --into, --print, --force and --resume go with --stream KEY")
    chosen = {
        "jobs": tuple(job or ()), "flow": flow, "stage": stage, "status": tuple(status or ()),
        "since": instant_of(since), "until": instant_of(until), "dlq": dlq,
    }  # fmt: skip
    given = {
        "select": {name: value for name, value in chosen.items() if value}, "from_stage": from_stage, "fetch": fetch,
        "rate": rate_of(rate), "priority": int(priority) if priority.isdigit() else priority,
    }  # fmt: skip
    asked = _checked(given)
    if dry_run:
        _show_plan(run(_planned(asked)), as_json=as_json)
        return
    view = run(_started(asked, wait=wait, tells=not as_json))
    _show(view, as_json=as_json)
    if wait and view.status != "done":
        raise typer.Exit(1)


@replay.command("list")
def replay_list(
    *, limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most replays.")] = 20, as_json: Json = False
) -> None:
    """List the newest replays."""

    async def ask() -> "list[ReplayView]":
        from api.cli.lookup import TENANT, here
        from api.routes.replays import replays_of

        async with here() as services:
            found = await replays_of(services).page(tenant=TENANT, before=None, limit=limit)
            return [record.view for record in found]

    views = run(ask())
    if as_json:
        for view in views:
            print_json(view.model_dump(mode="json"))
        return
    if not views:
        say("No replays.")
        next_step(("replay --flow FLOW --since 1d --dry-run", "shows what one would run"))
        return
    print_table(
        ("replay", "status", "asked for", "from", "selected", "jobs", "entries", "missing", "%"),
        [
            (view.replay_id, view.status, instant_text(view.created_at), view.from_stage, view.selected, view.jobs,
             view.entries, sum(view.missing.values()), f"{view.percent:.0f}")
            for view in views
        ],
        right=("selected", "jobs", "entries", "missing", "%"),
    )  # fmt: skip
    next_step((f"replay show {views[0].replay_id}", "shows one"))


ReplayArgument = Annotated[str, typer.Argument(metavar="REPLAY", help="Its id, from the list.", show_default=False)]


@replay.command("show")
def replay_show(replay_id: ReplayArgument, *, as_json: Json = False) -> None:
    """Show how far a replay is, and what could not be replayed."""

    async def ask() -> "ReplayView":
        from api.cli.lookup import TENANT, here
        from api.routes.replays import replay_view

        async with here() as services:
            return await replay_view(services, replay_id, TENANT)

    _show(run(ask()), as_json=as_json)


@replay.command("cancel")
def replay_cancel(replay_id: ReplayArgument, *, as_json: Json = False) -> None:
    """Stop a replay: it submits no further job, those that it submitted go on."""

    async def act() -> "ReplayView":
        from api.cli.lookup import TENANT, here
        from api.routes.replays import replays_of

        async with here() as services:
            return (await replays_of(services).cancel(replay_id, tenant=TENANT)).view

    _show(run(act()), as_json=as_json)


def _checked(given: dict[str, Any]) -> "ReplayRequest":
    from pydantic import ValidationError

    from schemas.replays import ReplayRequest

    try:
        return ReplayRequest.model_validate(given)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'] if part != 'select')}: "
            f"{one['msg'].removeprefix('Value error, ')}".removeprefix(": ")
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise Usage(f"the replay does not fit: {said}") from None


async def _planned(asked: "ReplayRequest") -> "ReplayPlan":
    from api.cli.lookup import TENANT, here, need_store
    from api.routes.replays import means_of
    from consumers.replays.run import plan

    async with here() as services:
        need_store(services)
        return await plan(means_of(services), asked, tenant=TENANT)


async def _started(asked: "ReplayRequest", *, wait: bool, tells: bool) -> "ReplayView":
    from api.cli.lookup import TENANT, here, need_store
    from api.routes.replays import replays_of

    async with here() as services:
        need_store(services)
        record = await replays_of(services).create(asked, tenant=TENANT, created_by="command line")
        return await _followed(services, record.replay_id, tells=tells) if wait else record.view


async def _followed(services: "Services", replay_id: str, *, tells: bool) -> "ReplayView":
    import asyncio

    from api.cli.lookup import TENANT
    from api.routes.replays import replays_of
    from schemas.replays import is_over

    told = 0.0
    while True:
        view = (await replays_of(services).get(replay_id, tenant=TENANT)).view
        if is_over(view.status):
            return view
        if tells and time.monotonic() - told > 2:  # noqa: PLR2004 - seconds between two lines
            told = time.monotonic()
            say(f"  {view.status}: {view.jobs} of {view.selected or '?'} jobs, {view.entries} entries", "bright_black")
        await asyncio.sleep(FOLLOW_EVERY_S)


def _show(view: "ReplayView", *, as_json: bool) -> None:
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    say(f"Replay {view.replay_id}: {view.status}", "bold")
    print_table(
        ("", ""),
        [
            (name, value)
            for name, value in (
                ("from stage", f"{view.from_stage}{', fetched again' if view.fetch else ''}"),
                ("asked for", instant_text(view.created_at)), ("began", instant_text(view.started_at)),
                ("ended", instant_text(view.finished_at)), ("selected", view.selected), ("jobs submitted", view.jobs),
                ("entries", view.entries), ("error", view.error),
                ("had from memo", memo_text(view.memo)),
                *((f"not replayed: {reason}", count) for reason, count in view.missing.items()),
            )
            if value not in (None, "")
        ],
    )  # fmt: skip
    for problem in view.problems[:5]:
        say(f"  {problem.detail}", "yellow")
    if view.status in {"queued", "running"}:
        next_step(
            (f"replay show {view.replay_id}", "shows how far it is"), (f"replay cancel {view.replay_id}", "stops it")
        )
    else:
        next_step(("jobs", "lists the jobs"), ("replay list", "lists the replays"))


def _show_plan(plan: "ReplayPlan", *, as_json: bool) -> None:
    if as_json:
        print_json(plan.model_dump(mode="json"))
        return
    say(f"{plan.jobs} jobs would run again, {sum(plan.entries.values())} entries. Nothing was submitted.", "bold")
    if plan.entries:
        print_table(("stage", "entries"), list(plan.entries.items()), right=("entries",))
    facts = [
        ("payload opened", bytes_text(plan.size_bytes)), ("entries not run again", plan.reused),
        ("takes, at this rate", duration_text(plan.takes_s)),
        *(
            (f"{flow} begins at {stage}", f"{count} jobs")
            for flow, stages in plan.starts_at.items()
            for stage, count in stages.items()
        ),
        *((f"cannot: {reason}", f"{count} jobs") for reason, count in plan.missing.items()),
        ("files that are gone", plan.missing_files or None),
    ]  # fmt: skip
    print_table(("", ""), [(name, value) for name, value in facts if value is not None])
    for problem in plan.problems[:5]:
        say(f"  {problem.detail}", "yellow")
    if not plan.is_whole:
        say("There are more jobs than a dry run looks at.", "yellow")
    next_step(("replay …", "the same without --dry-run does it"), ("replay list", "lists the replays"))


def instant_of(text: str | None) -> datetime | None:
    """A point in time: ISO 8601, local when it names no zone, or how long ago: ``90m``, ``2h``, ``7d``."""
    if not text:
        return None
    if text[-1] in UNITS and text[:-1].replace(".", "", 1).isdigit():
        return datetime.now(UTC) - timedelta(seconds=float(text[:-1]) * UNITS[text[-1]])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Usage(f"{text!r} is no time: 2026-01-31T08:00:00, or 90m, 2h, 7d for so long ago") from None
    return at.astimezone()


def rate_of(text: str) -> "ReplayRate":
    """How fast: ``200``, ``200/s``, ``200 entries/s``, ``20 jobs/s``."""
    from schemas.replays import MOST_PER_S, ReplayRate

    number, unit = _split(text)
    if not 0 < number <= MOST_PER_S:
        raise Usage(f"--rate {text}: more than 0 and at most {MOST_PER_S:,.0f} a second")
    return ReplayRate(jobs_per_s=number) if unit == "jobs" else ReplayRate(entries_per_s=number)


def entries_per_s(text: str) -> float:
    """The rate of a raw copy."""
    rate = rate_of(text)
    if rate.entries_per_s is None:
        raise Usage("--rate of a stream's entries is in entries a second")
    return rate.entries_per_s


def _split(text: str) -> tuple[float, str]:
    import re

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(entries|jobs)?\s*(?:/\s*s)?\s*", text)
    if match is None:
        raise Usage(f"--rate {text!r} is no rate: 200, '200 entries/s' or '20 jobs/s'")
    return float(match[1]), match[2] or "entries"
