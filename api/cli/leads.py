"""Commands about the lead book."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, path_text, print_json, print_table, say
from streams.errors import MillraceError

leads = typer.Typer(no_args_is_help=True, help="The lead book: list, show, set, export, erase.")

LeadId = Annotated[str, typer.Argument(metavar="LEAD", help="Id of a lead.", show_default=False)]
Status = Annotated[
    str | None, typer.Option(metavar="STATUS", help="new, called, interested, converted or do_not_contact.")
]


@leads.command("list")
def leads_list(
    *,
    status: Status = None,
    min_score: Annotated[int | None, typer.Option(help="Those with a lower score are left out.")] = None,
    job: Annotated[str | None, typer.Option(metavar="ID", help="Those that this job found first.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most leads.")] = 50,
    as_json: Json = False,
) -> None:
    """List leads, the best first."""
    from api.cli.lookup import TENANT, here, need_store
    from api.leads import lead_view
    from consumers.store.leads import LeadFilter

    async def ask() -> list[dict[str, Any]]:
        async with here() as services:
            need_store(services)
            chosen = LeadFilter(status=_checked(status), min_score=min_score, job_id=job)
            page = await services.store.leads.page(chosen, tenant=TENANT, limit=limit)
            return [lead_view(one) for one in page.items]

    found = run(ask())
    if as_json:
        for one in found:
            print_json(one)
        return
    if found:
        rows = [
            (one["id"], one["score"], one["status"], one["name"], next((p["value"] for p in one["phones"]), ""))
            for one in found
        ]
        print_table(("id", "score", "status", "name", "phone"), rows, right=("score",))
    else:
        say("There are no such leads.")
    next_step(("leads show LEAD", "shows one with its reasons"), ("submit leads --help", "finds more"))


@leads.command("show")
def leads_show(lead_id: LeadId, *, as_json: Json = False) -> None:
    """Show a lead: contacts, why it has its score, and its timeline."""
    from api.cli.lookup import TENANT, here, need_store
    from api.leads import lead_view

    async def ask() -> dict[str, Any]:
        async with here() as services:
            need_store(services)
            lead = await services.store.leads.get(lead_id, tenant=TENANT)
            if lead is None:
                raise _no_such(lead_id)
            page = await services.store.leads.timeline(lead_id, tenant=TENANT, limit=50)
            told = [{"kind": one.kind, "actor": one.actor, "text": one.text, "at": one.at} for one in page.items]
            return {**lead_view(lead), "timeline": told}

    found = run(ask())
    if as_json:
        print_json(found)
        return
    say(f"{found['name']}  {found['status']}  score {found['score']}")
    contacts = [(kind, one["value"]) for kind in ("phones", "emails", "social") for one in found[kind]]
    rows = [("website", found["website"] or "none"), ("address", found["address"] or "unknown"), *contacts]
    print_table(("what", "value"), rows)
    print_table(("points", "reason"), [(one["points"], one["text"]) for one in found["reasons"]], right=("points",))
    for one in found["timeline"]:
        say(f"  {one['at']:%Y-%m-%d %H:%M} {one['actor']} {one['kind']}: {one['text']}")
    next_step((f"leads set {lead_id} --status called", "writes down a call"))


@leads.command("set")
def leads_set(
    lead_id: LeadId,
    *,
    status: Status = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Who looks after it.")] = None,
    follow_up: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When it is looked at again.", show_default=False)
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="A line for its timeline.")] = None,
    as_json: Json = False,
) -> None:
    """Change a lead's status, owner or follow-up date, or add a note."""
    from api.cli.lookup import TENANT, here, need_store
    from api.leads import lead_view
    from schemas.leads import LeadChange

    day = follow_up.date() if follow_up else None
    given = {"status": _checked(status), "owner": owner, "follow_up_on": day, "note": note}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        raise Usage("say what changes: --status, --owner, --follow-up or --note")

    async def act() -> dict[str, Any]:
        async with here() as services:
            need_store(services)
            change = LeadChange.model_validate(given)
            lead = await services.store.leads.change(lead_id, change, tenant=TENANT, actor="cli")
            if lead is None:
                raise _no_such(lead_id)
            return lead_view(lead)

    found = run(act())
    if as_json:
        print_json(found)
        return
    say(f"{found['name']} is {found['status']}.")
    next_step((f"leads show {lead_id}", "shows its timeline"), ("leads list --status new", "lists whom to call next"))


@leads.command("export")
def leads_export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Ends in .csv or .xlsx.", show_default=False)],
    *,
    status: Status = None,
    min_score: Annotated[int | None, typer.Option(help="Those with a lower score are left out.")] = None,
    as_json: Json = False,
) -> None:
    """Write leads to a CSV or XLSX file; no text in it is a formula."""
    from api.cli.lookup import TENANT, here, need_store
    from api.leads import exported
    from consumers.store.leads import LeadFilter

    kind = path.suffix.lower().removeprefix(".")
    if kind not in {"csv", "xlsx"}:
        raise Usage(f"{path.name!r} must end in .csv or .xlsx")

    async def act() -> bytes:
        async with here() as services:
            need_store(services)
            return await exported(services, LeadFilter(status=_checked(status), min_score=min_score), TENANT, kind)

    body = run(act())
    path.write_bytes(body)
    if as_json:
        print_json({"file": str(path), "size_bytes": len(body)})
        return
    say(f"Wrote {path_text(path)}.")
    next_step(("leads list", "shows the same here"))


@leads.command("erase")
def leads_erase(lead_id: LeadId, *, as_json: Json = False) -> None:
    """Erase a lead and keep it out: the next crawl does not bring it back."""
    from api.cli.lookup import TENANT, here, need_store
    from api.lead_erasure import erase_lead
    from api.problems import Problem

    async def act() -> None:
        async with here() as services:
            need_store(services)
            try:
                await erase_lead(services, lead_id, TENANT, "cli")
            except Problem:
                raise _no_such(lead_id) from None

    run(act())
    if as_json:
        print_json({"id": lead_id, "erased": True})
        return
    say(f"{lead_id} is erased and stays out.")
    next_step(("leads list", "lists those that are left"))


def _checked(status: str | None) -> Any:
    from schemas.leads import LeadStatus

    if status is not None and status not in get_args(LeadStatus):
        raise Usage(f"--status {status!r} is none of {', '.join(get_args(LeadStatus))}")
    return status


def _no_such(lead_id: str) -> MillraceError:
    return MillraceError(f"there is no lead {lead_id}: `./millrace leads list` lists those that there are")
