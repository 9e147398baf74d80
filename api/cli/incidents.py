"""``dlq incidents``: dead letters grouped by what they died of."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.letters import DryRun, FlowOf, HostOf, Since, StageOf, TenantOf, Until, chosen_of
from api.cli.root import Usage, run
from api.cli.screen import Json, first_line, instant_text, next_step, print_json, print_table, say
from streams.errors import MillraceError

if TYPE_CHECKING:
    from streams.incidents import Grouped


def dlq_incidents(
    incident_id: Annotated[
        str | None, typer.Argument(metavar="[INCIDENT]", help="Its id, from the list.", show_default=False)
    ] = None,
    *,
    stage: StageOf = None,
    flow: FlowOf = None,
    tenant: TenantOf = None,
    host: HostOf = None,
    since: Since = None,
    until: Until = None,
    retry: Annotated[bool, typer.Option("--retry", help="Put all letters of this incident back to work.")] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="With --retry: letters a second.", show_default="all at once"),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Group the dead letters by error, stage, flow and host; show one group, or put it back to work."""
    from dataclasses import replace

    from api.cli.lookup import here
    from api.cli.mend import redrive_chosen
    from api.incidents import incident_view, incidents

    if retry and incident_id is None:
        raise Usage("--retry: say which incident, by its id from the list")
    chosen = replace(chosen_of(stage, flow, None, tenant, host, None, since, until), incident=incident_id or "")

    async def ask() -> "Grouped":
        async with here() as services:
            return await incidents(services, chosen)

    found = run(ask())
    if incident_id is not None and not found.incidents:
        raise MillraceError(
            f"there is no incident {incident_id}: `./millrace dlq incidents` lists those that there are"
        )
    if retry:
        redrive_chosen(chosen, rate=rate, dry_run=dry_run, as_json=as_json)
        return
    views = [incident_view(one) for one in found.incidents]
    if as_json:
        for view in views:
            print_json(view)
    elif not views:
        say("No dead letters, so no incidents.", "green")
        next_step(("streams", "shows what waits and runs"))
    elif incident_id is not None:
        _show(views[0])
    else:
        _list(views, is_cut=found.is_cut)


def _list(views: list[dict[str, Any]], *, is_cut: bool) -> None:
    print_table(
        ("incident", "error", "stage", "flow", "host", "letters", "jobs", "tenants", "first", "last"),
        [
            (view["id"], view["error_type"], view["stage"] or "ingest", view["flow"], view["host"], view["letters"],
             view["jobs"], view["tenants"], instant_text(view["first_seen"]), instant_text(view["last_seen"]))
            for view in views
        ],
        right=("letters", "jobs", "tenants"),
    )  # fmt: skip
    if is_cut:
        say("There are older letters that were not looked at: --until shows them.", "yellow")
    first = views[0]["id"]
    next_step((f"dlq incidents {first}", "shows one"), (f"dlq incidents {first} --retry", "puts it back to work"))


def _show(view: dict[str, Any]) -> None:
    say(f"{view['stage'] or 'ingest'}: {view['error_type']}: {first_line(view['error'], 400)}", "red")
    jobs = f"{view['jobs']} jobs of {view['tenants']} tenants"
    say(f"{view['letters']} letters of {jobs}, from {instant_text(view['first_seen'])} to "
        f"{instant_text(view['last_seen'])}.")  # fmt: skip
    facts = ("id", "error_type", "reason", "stage", "flow", "host", "quarantined", "newest")
    print_table(("", ""), [(name, view[name]) for name in facts if view[name]])
    next_step(
        (f"dlq show {view['newest']}", "shows its newest letter"),
        (f"dlq incidents {view['id']} --retry", "puts all of it back to work"),
    )


__all__ = ["dlq_incidents"]
