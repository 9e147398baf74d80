"""Commands about the limits that all workers share."""

from typing import Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, print_json, print_table, say

limits = typer.Typer(no_args_is_help=True, help="Limits that all workers share: list, set, clear.")

Name = Annotated[str, typer.Argument(metavar="LIMIT", help="Its name, from the list.", show_default=False)]


@limits.command("list")
def limits_list(*, as_json: Json = False) -> None:
    """List the limits that the installed flows declare, as they hold now."""
    from api.cli.lookup import here
    from api.limits import list_limits

    async def ask() -> list[dict[str, Any]]:
        async with here() as services:
            return await list_limits(services)

    found = run(ask())
    if as_json:
        for one in found:
            print_json(one)
        return
    if not found:
        say("No installed flow declares a limit.")
        next_step(("stages", "lists the stages with their policies"))
        return
    print_table(
        ("limit", "holds", "for each", "declared", "running", "waiting"),
        [
            (one["name"], _said(one), "value" if one.get("by_value") else "", _said(one["declared"])
             if one.get("declared") else "by no flow", one.get("running"), one.get("waiting"))
            for one in found
        ],
        right=("running", "waiting"),
    )  # fmt: skip
    next_step(("limits set LIMIT COUNT [--per SECONDS]", "changes one at once"))


@limits.command("set")
def limits_set(
    name: Name,
    count: Annotated[int, typer.Argument(metavar="COUNT", min=1, max=1_000_000, help="How many.", show_default=False)],
    *,
    per_s: Annotated[
        float | None, typer.Option("--per", metavar="SECONDS", help="In how many seconds.", show_default="as declared")
    ] = None,
    as_json: Json = False,
) -> None:
    """Set a limit; workers hold to it within a second."""
    from api.cli.lookup import here
    from api.limits import LimitRequest, set_limit
    from api.problems import Problem

    if per_s is not None and per_s <= 0:
        raise Usage(f"--per {per_s:g}: it must be above 0")

    async def act() -> dict[str, Any]:
        async with here() as services:
            try:
                return await set_limit(services, name, LimitRequest(count=count, per_s=per_s))
            except Problem as problem:
                raise Usage(problem.detail) from None

    done = run(act())
    if as_json:
        print_json(done)
        return
    say(f"Limit {name} is {_said(done)} now (declared: {_said(done['declared'])}).")
    next_step((f"limits clear {name}", "has it as declared again"))


@limits.command("clear")
def limits_clear(name: Name, *, as_json: Json = False) -> None:
    """Have a limit as it is declared."""
    from api.cli.lookup import here
    from api.limits import clear_limit

    async def act() -> bool:
        async with here() as services:
            return await clear_limit(services, name)

    cleared = run(act())
    if as_json:
        print_json({"name": name, "cleared": cleared})
        return
    say(f"Limit {name} is as declared {'again' if cleared else 'already'}.")
    next_step(("limits list", "shows all"))


def _said(limit: dict[str, Any]) -> str:
    numbers = limit if "count" in limit else limit["set"]
    return f"{numbers['count']} in {numbers['per_s']:g} s" if "per_s" in numbers else f"{numbers['count']} at once"
