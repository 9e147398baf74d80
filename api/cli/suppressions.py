"""Commands about addresses that get no mail."""

from typing import Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, first_line, instant_text, next_step, print_json, print_table, say
from streams.errors import MillraceError

suppressions = typer.Typer(no_args_is_help=True, help="Addresses that get no mail: list, add, remove.")

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Of a mailbox.", show_default=False)]


@suppressions.command("list")
def suppressions_list(*, as_json: Json = False) -> None:
    """List the addresses that get no mail."""
    from api.cli.lookup import TENANT, here, need_store
    from api.emails import page_of_suppressions

    async def ask() -> list[Any]:
        found, cursor = [], None
        async with here() as services:
            need_store(services)
            while True:
                page = await page_of_suppressions(services, TENANT, cursor=cursor, limit=200)
                found += page.items
                cursor = page.next
                if cursor is None:
                    return found

    found = run(ask())
    if as_json:
        for one in found:
            print_json(one.model_dump(mode="json"))
        return
    if found:
        rows = [(one.address, one.reason, instant_text(one.created_at), first_line(one.detail, 80)) for one in found]
        print_table(("address", "reason", "since", "the server said"), rows)
    else:
        say("No address is suppressed.")
    next_step(
        ("suppressions remove ADDRESS", "lets one have mail again"), ("suppressions add ADDRESS", "sends one no more")
    )


@suppressions.command("add")
def suppressions_add(
    address: Address,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "by hand",
    as_json: Json = False,
) -> None:
    """Send an address no more mail."""
    from pydantic import ValidationError

    from api.cli.lookup import TENANT, here, need_store
    from schemas.emails import SuppressionRequest

    try:
        asked = SuppressionRequest(address=address, reason=reason)
    except ValidationError:
        raise Usage(f"{address!r} is no mail address") from None

    async def act() -> bool:
        async with here() as services:
            need_store(services)
            return await services.store.suppressions.add(asked.address, tenant=TENANT, reason=asked.reason)

    is_new = run(act())
    if as_json:
        print_json({"address": address.lower(), "added": is_new})
        return
    say(f"{address} gets no mail from now on." if is_new else f"{address} is suppressed already.")
    next_step((f"suppressions remove {address}", "lets it have mail again"))


@suppressions.command("remove")
def suppressions_remove(address: Address, *, as_json: Json = False) -> None:
    """Let an address have mail again."""
    from api.cli.lookup import TENANT, here, need_store

    async def act() -> bool:
        async with here() as services:
            need_store(services)
            return await services.store.suppressions.remove(address, tenant=TENANT)

    if not run(act()):
        raise MillraceError(f"{address} is not suppressed: `./millrace suppressions list` lists those that are")
    if as_json:
        print_json({"address": address.lower(), "removed": True})
        return
    say(f"{address} may have mail again.")
    next_step(("submit email --help", "sends one"))
