"""Commands about the lead book."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, path_text, print_json, print_table, say
from streams.errors import MillraceError

leads = typer.Typer(no_args_is_help=True, help="The lead book: list, show, set, export, erase, statistics, blacklist.")

LeadId = Annotated[str, typer.Argument(metavar="LEAD", help="Id of a lead.", show_default=False)]
Status = Annotated[
    str | None, typer.Option(metavar="STATUS", help="new, called, interested, converted or do_not_contact.")
]


@leads.command("list")
def leads_list(
    *,
    status: Status = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Those that this person looks after.")] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="browser, places, osm or csv.")] = None,
    min_score: Annotated[int | None, typer.Option(help="Those with a lower score are left out.")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="In the name.")] = None,
    follow_up: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="To be looked at by then.", show_default=False)
    ] = None,
    job: Annotated[str | None, typer.Option(metavar="ID", help="Those that this job found first.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Those that the last run found first.")] = False,
    sort: Annotated[str, typer.Option(metavar="FIELD", help="score, created_at, name, rating or reviews.")] = "score",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most leads.")] = 50,
    as_json: Json = False,
) -> None:
    """List leads, the best first."""
    from api.cli.lookup import TENANT, here, need_store
    from api.leads import lead_view
    from consumers.store.leads import SORTS, LeadFilter

    if sort not in SORTS:
        raise Usage(f"--sort {sort!r} is none of {', '.join(SORTS)}")
    chosen = LeadFilter(
        status=_checked(status), owner=owner, source=source, min_score=min_score, text=search, job_id=job, new=new,
        follow_up_until=follow_up.date() if follow_up else None,
    )  # fmt: skip

    async def ask() -> list[dict[str, Any]]:
        async with here() as services:
            need_store(services)
            page = await services.store.leads.page(chosen, tenant=TENANT, sort=sort, limit=limit)
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
def leads_erase(
    lead_id: Annotated[str, typer.Argument(metavar="[LEAD]", help="Id of a lead.", show_default=False)] = "",
    *,
    email: Annotated[str, typer.Option(metavar="ADDRESS", help="Whoever has this address.")] = "",
    phone: Annotated[str, typer.Option(metavar="NUMBER", help="Whoever has this number, with its country.")] = "",
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="Whoever has this website.")] = "",
    as_json: Json = False,
) -> None:
    """Erase a lead, or whoever has a contact, everywhere; the next crawl does not bring it back."""
    from api.cli.lookup import TENANT, here, need_store
    from api.lead_erasure import Told, erase_by, erase_lead
    from api.leads import erasure_key
    from api.problems import Problem

    given = {name: one for name, one in (("email", email), ("phone", phone), ("domain", domain)) if one}
    if bool(lead_id) + len(given) != 1:
        raise Usage("name one: LEAD, --email, --phone or --domain")
    key = next((erasure_key(name, value) for name, value in given.items()), "")
    if key is None:
        raise Usage("that is none; write phone numbers with a country code")

    async def act() -> Told:
        async with here() as services:
            need_store(services)
            if key:
                return await erase_by(services, key, TENANT, "cli")
            try:
                return await erase_lead(services, lead_id, TENANT, "cli")
            except Problem:
                raise _no_such(lead_id) from None

    told = run(act())
    if as_json:
        print_json({"erased": list(told.leads), "erasure_id": told.erasure_id or None})
        return
    say(f"{len(told.leads)} leads are erased and stay out.")
    next_step(
        ("submit maintenance erase --wait", "erases the log and its archive now, else within five minutes"),
        ("leads list", "lists those that are left"),
    )


@leads.command("statistics")
def leads_statistics(*, as_json: Json = False) -> None:
    """Show how many leads there are, by status, source, score and day, and the share that was converted."""
    from api.cli.lookup import TENANT, here, need_store

    async def ask() -> dict[str, Any]:
        async with here() as services:
            need_store(services)
            return await services.store.leads.statistics(tenant=TENANT)

    found = run(ask())
    if as_json:
        print_json(found)
        return
    rows = [
        (part, name, count)
        for part in ("status", "source", "score", "day")
        for name, count in found[f"by_{part}"].items()
    ]
    print_table(("by", "what", "leads"), rows, right=("leads",))
    conversion = found["conversion"]
    said = "nobody was called yet" if conversion is None else f"{conversion:.0%} of those called were converted"
    say(f"{found['total']} leads; {said}.")
    next_step(("leads list --status new", "lists whom to call next"))


@leads.command("blacklist")
def leads_blacklist(
    *,
    add: Annotated[
        str, typer.Option(metavar="KIND=VALUE", help="phone, domain or name to leave out from now on.")
    ] = "",
    remove: Annotated[str, typer.Option(metavar="KIND=VALUE", help="To let in again.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, with --add.")] = "",
    as_json: Json = False,
) -> None:
    """List what jobs leave out; or add to it, or remove from it."""
    from api.cli.lookup import TENANT, here, need_store

    if add and remove:
        raise Usage("either --add or --remove")
    line = _line(add or remove) if add or remove else None

    async def act() -> list[dict[str, Any]]:
        async with here() as services:
            need_store(services)
            lists = services.store.lead_lists
            if line is not None and add:
                await lists.block(*line, reason, tenant=TENANT)
            if line is not None and remove and not await lists.unblock(*line, tenant=TENANT):
                raise MillraceError(f"the blacklist has no {remove}: `./millrace leads blacklist` lists it")
            found, cursor = [], None
            while True:
                page = await lists.page(tenant=TENANT, cursor=cursor, limit=200)
                found += [{"kind": one.kind, "value": one.value, "reason": one.reason} for one in page.items]
                cursor = page.next
                if cursor is None:
                    return found

    found = run(act())
    if as_json:
        for one in found:
            print_json(one)
        return
    if found:
        print_table(("kind", "value", "reason"), [tuple(one.values()) for one in found])
    else:
        say("The blacklist is empty.")
    next_step(("leads blacklist --add domain=a.example", "leaves a business out of the jobs to come"))


def _line(text: str) -> tuple[str, str]:
    from api.leads import block_value
    from schemas.leads import BlockKind

    kind, _, given = text.partition("=")
    value = block_value(kind, given) if kind in get_args(BlockKind) and given else None
    if value is None:
        raise Usage(f"{text!r} is no KIND=VALUE such as phone=+302102617001, domain=a.example or name=Mill")
    return kind, value


def _checked(status: str | None) -> Any:
    from schemas.leads import LeadStatus

    if status is not None and status not in get_args(LeadStatus):
        raise Usage(f"--status {status!r} is none of {', '.join(get_args(LeadStatus))}")
    return status


def _no_such(lead_id: str) -> MillraceError:
    return MillraceError(f"there is no lead {lead_id}: `./millrace leads list` lists those that there are")
