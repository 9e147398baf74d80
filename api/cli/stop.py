"""Stop and go: `pause`, `resume`, `purge`, `worker drain`, and the log of who did what."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, first_line, instant_text, next_step, print_json, print_table, say
from api.cli.typed import instant_ms
from streams.errors import MillraceError

if TYPE_CHECKING:
    from streams.pauses import PauseKind

Stage = Annotated[str | None, typer.Option(metavar="STAGE", help="A stage, of every flow.")]
FlowName = Annotated[str | None, typer.Option(metavar="FLOW", help="A flow.")]
Host = Annotated[str | None, typer.Option(metavar="HOST", help="What is about this host: example.com.")]
Tenant = Annotated[str | None, typer.Option(metavar="TENANT", help="A tenant.")]


def pause(
    *,
    stage: Stage = None,
    flow: FlowName = None,
    host: Host = None,
    tenant: Tenant = None,
    reason: Annotated[str, typer.Option(help="Why; others see it.")] = "",
    as_json: Json = False,
) -> None:
    """Start nothing more of a stage, flow, host or tenant, until `resume`; what runs runs on. Alone, lists what is."""
    from api.audit import cli_actor, record
    from api.cli.lookup import here
    from api.control import pause_view
    from streams.pauses import Pauses

    scope = _scope(stage, flow, host, tenant)

    async def act() -> Any:
        async with here() as services:
            pauses = Pauses(services.client, services.keys)
            if scope is None:
                return await pauses.list()
            made = await pauses.add(*scope, reason=reason, by=cli_actor())
            await record(services, cli_actor(), "pause.add", made.scope, {"reason": reason})
            return [made]

    found = [pause_view(one) for one in run(act())]
    if as_json:
        for one in found:
            print_json(one)
        return
    if scope is not None:
        say(f"{found[0]['kind']} {found[0]['name']} is paused: nothing of it starts, what runs runs on.")
        next_step((f"resume --{found[0]['kind']} {found[0]['name']}", "lets it go on"), ("pause", "lists what is"))
        return
    if not found:
        say("Nothing is paused.", "green")
        next_step(("pause --stage STAGE --reason WHY", "pauses a stage"))
        return
    print_table(
        ("what", "name", "since", "by", "reason"),
        [(one["kind"], one["name"], instant_text(one["since"]), one["by"], one["reason"]) for one in found],
    )
    next_step((f"resume --{found[0]['kind']} {found[0]['name']}", "lets it go on"))


def resume(
    *,
    stage: Stage = None,
    flow: FlowName = None,
    host: Host = None,
    tenant: Tenant = None,
    all_: Annotated[bool, typer.Option("--all", help="All that is paused.")] = False,
    as_json: Json = False,
) -> None:
    """Go on with what was paused; what was held runs at once."""
    from api.audit import cli_actor, record
    from api.cli.lookup import here
    from api.control import pause_view
    from streams.pauses import Pauses

    scope = _scope(stage, flow, host, tenant)
    if (scope is None) == (not all_):
        raise Usage("say what goes on: --stage, --flow, --host or --tenant, or --all")

    async def act() -> list[Any]:
        async with here() as services:
            pauses = Pauses(services.client, services.keys)
            scopes = [scope] if scope is not None else [(one.kind, one.name) for one in await pauses.list()]
            ended = [one for kind, name in scopes if (one := await pauses.remove(kind, name)) is not None]
            for one in ended:
                await record(services, cli_actor(), "pause.remove", one.scope, {"reason": one.reason, "by": one.by})
            return ended

    ended = [pause_view(one) for one in run(act())]
    if scope is not None and not ended:
        raise MillraceError(f"{scope[0]} {scope[1]} is not paused: `./millrace pause` lists what is")
    if as_json:
        for one in ended:
            print_json({**one, "resumed": True})
        return
    for one in ended:
        say(f"{one['kind']} {one['name']} goes on; it was paused since {instant_text(one['since'])} by {one['by']}.")
    if not ended:
        say("Nothing was paused.")
    next_step(("streams", "shows what waits and runs"))


def purge(
    *,
    stage: Stage = None,
    flow: FlowName = None,
    tenant: Tenant = None,
    force: Annotated[bool, typer.Option(help="Kill what runs, without a chance to clean up.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: Json = False,
) -> None:
    """Cancel every job that has something open at a stage, of a flow or of a tenant, after asking."""
    from api.audit import cli_actor, record
    from api.cli.lookup import here
    from api.cli.progress import counting
    from api.control import pools_of, purged_view
    from schemas.names import STAGES
    from streams.purge import Purge, PurgeFilter

    if stage is not None and stage not in STAGES:
        raise Usage(f"--stage: there is no {stage!r}; choose of {', '.join(STAGES)}")
    if not (stage or flow or tenant):
        raise Usage("say what to purge: --stage, --flow or --tenant (all that are given must fit)")
    chosen = PurgeFilter(stage or "", flow or "", tenant or "")

    async def count() -> Any:
        async with here() as services:
            return await Purge(services.log, pools_of(services.flows)).count(chosen)

    found = run(count())
    jobs, opened = len(found.jobs), ", ".join(f"{n} at {name}" for name, n in found.entries.items())
    if dry_run or not (jobs or found.strays):
        if as_json:
            print_json({"dry_run": True, **purged_view(found)})
            return
        say(f"{jobs:,} jobs are concerned ({opened or 'nothing open'}), {found.strays} strays. Nothing was done.")
        next_step(("streams", "shows what waits and runs"))
        return
    if not yes:
        strays = f" and remove {found.strays} entries of no job" if found.strays else ""
        typer.confirm(f"Cancel {jobs:,} jobs with work open ({opened}){strays}, by {chosen}?", abort=True, err=as_json)

    async def act() -> Any:
        async with here() as services:
            with counting("cancelled", jobs) as told:
                done = await Purge(services.log, pools_of(services.flows)).run(
                    chosen, reason=f"purged by {cli_actor()}", kill=force, told=lambda so_far: told(len(so_far.jobs))
                )
            await record(services, cli_actor(), "purge", str(chosen), {**purged_view(done), "force": force})
            return done

    done = run(act())
    if as_json:
        print_json(purged_view(done))
        return
    say(f"{len(done.jobs):,} jobs are cancelled; {done.over} were over, {done.strays} strays are removed.")
    next_step(("jobs --status cancelled", "lists them"), ("audit-log", "has it on record"))


def drain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the worker, from `workers`.", show_default=False)],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Let another be started in its place.")] = False,
    as_json: Json = False,
) -> None:
    """Let a worker finish what it has, then end; what does not finish in its grace runs elsewhere."""
    from api.audit import cli_actor, record
    from api.cli.lookup import here
    from streams.drain import drain_worker

    async def act() -> bool:
        async with here() as services:
            is_there = await drain_worker(services.client, services.keys, name, by=cli_actor(), replace=replace)
            if is_there:
                await record(services, cli_actor(), "worker.drain", name, {"replace": replace})
            return is_there

    if not run(act()):
        raise MillraceError(f"there is no worker {name}: `./millrace workers` lists those that there are")
    if as_json:
        print_json({"worker": name, "draining": True, "replace": replace})
        return
    say(f"Worker {name} drains: it takes nothing more and ends when its work is done.")
    next_step(("workers", "shows who is there"))


def audit_log(
    *,
    actor: Annotated[str, typer.Option(help="Only what this one did: key:4f…, cli:me@host.")] = "",
    action: Annotated[str, typer.Option(help="Only this: job.cancel, or dlq for all about dead letters.")] = "",
    target: Annotated[str, typer.Option(help="Only to this.")] = "",
    since: Annotated[str | None, typer.Option(metavar="TIME|AGO", help="Since then: 2h, 2030-01-31T08:00Z.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=900, help="Most lines.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what operators changed, newest first: who, what, to what, when."""
    from datetime import UTC, datetime

    import orjson

    from api import audit
    from api.cli.lookup import here

    since_ms = instant_ms("--since", since)

    async def ask() -> list[dict[str, Any]]:
        async with here() as services:
            after = datetime.fromtimestamp(since_ms / 1_000, UTC) if since_ms else None
            page = await audit.page(
                services, tenant=None, actor=actor, action=action, target=target, since=after, limit=limit
            )
            return list(page.items)

    found = run(ask())
    if as_json:
        for one in found:
            print_json(one)
        return
    if not found:
        say("Nothing is on record.")
    else:
        print_table(
            ("when", "who", "what", "to what", ""),
            [
                (instant_text(one["at"]), one["actor"], one["action"], first_line(one["target"], 60),
                 first_line(orjson.dumps(one["detail"]).decode(), 80) if one["detail"] else None)
                for one in found
            ],
        )  # fmt: skip
    next_step(("audit-log --json", "has all of each"))


def _scope(stage: str | None, flow: str | None, host: str | None, tenant: str | None) -> "tuple[PauseKind, str] | None":
    from streams.pauses import BadPause, checked_name

    kinds: tuple[tuple[PauseKind, str | None], ...] = (
        ("stage", stage), ("flow", flow), ("host", host), ("tenant", tenant),
    )  # fmt: skip
    named = [(kind, name) for kind, name in kinds if name is not None]
    if len(named) > 1:
        raise Usage("name one of --stage, --flow, --host, --tenant")
    if not named:
        return None
    try:
        return named[0][0], checked_name(*named[0])
    except BadPause as error:
        raise Usage(str(error)) from None


__all__ = ["audit_log", "drain", "pause", "purge", "resume"]
