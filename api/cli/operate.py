"""Commands about the log, its workers and its stages."""

import time
from typing import Annotated, Any

import typer

from api.cli.root import run
from api.cli.screen import Json, bytes_text, duration_text, next_step, print_json, print_table, say
from streams.errors import MillraceError


def streams(*, as_json: Json = False) -> None:
    """List the stage streams: what waits and what runs."""
    from api import fleet
    from api.cli.lookup import here
    from api.cli.overview import overview

    async def ask() -> tuple[Any, Any]:
        async with here() as services:
            return await fleet.streams(services), await overview(services)

    found, seen = run(ask())
    if as_json:
        for one in found:
            print_json(one)
        return
    shown = [one for one in found if one["length"] or (one["pool"], one["lane"]) == ("default", "normal")]
    print_table(
        ("stream", "waiting", "running", "oldest"),
        [
            (one["stream"], one["lag"], one["pending"], duration_text(one["oldest_age_s"]) if one["length"] else None)
            for one in shown
        ],
        right=("waiting", "running", "oldest"),
    )
    say(f"{len(found) - len(shown)} more are empty. {seen.delayed} tasks are delayed, {seen.dead} are dead letters.")
    next_step(("workers", "shows who reads them"), ("dlq list", "shows the dead letters"))


def workers(*, as_json: Json = False) -> None:
    """List the workers that are there."""
    from api import fleet
    from api.cli.lookup import TENANT, here

    async def ask() -> list[dict[str, Any]]:
        async with here() as services:
            return await fleet.workers(services, TENANT)

    found = run(ask())
    if as_json:
        for one in found:
            print_json(one)
        return
    if not found:
        say("No worker is running.")
        next_step(("worker", "runs one"))
        return
    now = time.time()
    print_table(
        ("worker", "up", "in hand", "pools", "done", "memory", "seen"),
        [
            (one["name"], duration_text(now - one["started_at"]),
             f"{one['in_hand']}, drains" if one.get("is_draining") else one["in_hand"], ",".join(one["pools"]),
             sum(one["counts"].values()), bytes_text(one["rss_bytes"]), f"{max(0.0, now - one['seen_at']):.0f} s ago")
            for one in found
        ],
        right=("in hand", "done"),
    )  # fmt: skip
    next_step(
        ("streams", "shows what waits for them"), (f"worker drain {found[0]['name']}", "takes one out of service")
    )


def stages(*, as_json: Json = False) -> None:
    """List the stages of every flow with their policies."""
    from api import fleet
    from consumers.flow import installed

    rows = fleet.stages(installed())
    if as_json:
        for row in rows:
            print_json(row)
        return
    policies = [(row["flow"], row["stage"], installed().policy(row["flow"], row["stage"])) for row in rows]
    print_table(
        ("flow", "stage", "pool", "soft / hard limit", "attempts", "backoff", "concurrency", "window"),
        [
            (flow, stage, one.pool, f"{one.soft_timeout_s:g} / {one.timeout_s:g} s", one.retry.max_attempts,
             f"{one.retry.base_s:g}-{one.retry.cap_s:g} s", one.concurrency or "slots", one.window)
            for flow, stage, one in policies
        ],
        right=("attempts", "window"),
    )  # fmt: skip
    next_step(("submit --help", "lists the flows"))


keys = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Tells who uses it.", show_default=False)],
    *,
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", metavar="submit|read|operate|admin", help="What it may do.", show_default="submit, read"
        ),
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose jobs it sees.")] = "default",
    as_json: Json = False,
) -> None:
    """Make a key; its text is shown once."""
    from dataclasses import asdict

    from api.audit import cli_actor, record
    from api.cli.lookup import here

    async def act() -> Any:
        async with here() as services:
            text, made = await services.api_keys.create(name, tenant=tenant, scopes=scopes or ("submit", "read"))
            detail = {"name": made.name, "scopes": made.scopes, "tenant": made.tenant}
            await record(services, cli_actor(), "key.create", made.id, detail)
            return text, made

    text, made = run(act())
    if as_json:
        print_json({"key": text, **asdict(made)})
        return
    say(text, "bold")
    say(f"Keep it now, it is not shown again. It may {', '.join(made.scopes)} for tenant {made.tenant}.")
    next_step((f"keys revoke {made.id}", "makes it worthless"))


@keys.command("list")
def keys_list(*, as_json: Json = False) -> None:
    """List the keys; their texts are not kept."""
    from dataclasses import asdict

    from api.cli.lookup import here

    async def ask() -> Any:
        async with here() as services:
            return await services.api_keys.list()

    found = run(ask())
    if as_json:
        for one in found:
            print_json(asdict(one))
        return
    if found:
        rows = [(one.id, one.name, one.tenant, ", ".join(one.scopes), one.created_at) for one in found]
        print_table(("key", "name", "tenant", "scopes", "created"), rows)
    else:
        say("No keys: the API listens on loopback only, and asks for none.")
    next_step(("keys create NAME", "makes one"))


@keys.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its id, from the list.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Make a key worthless, at once."""
    from api.audit import cli_actor, record
    from api.cli.lookup import here

    async def act() -> bool:
        async with here() as services:
            is_revoked = await services.api_keys.revoke(key_id)
            if is_revoked:
                await record(services, cli_actor(), "key.revoke", key_id)
            return is_revoked

    if not run(act()):
        raise MillraceError(f"there is no key {key_id}: `./millrace keys list` lists them")
    if as_json:
        print_json({"revoked": key_id})
        return
    say(f"Key {key_id} is worthless now.")
    next_step(("keys list", "lists what is left"))
