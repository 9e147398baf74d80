"""Commands that look after an installation: `migrate`, `doctor`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, path_text, print_json, print_table, say

if TYPE_CHECKING:
    from api.environment import Place
    from api.production import Checked
    from api.services import Services
    from consumers.doctor import Finding, Repaired
    from schemas.settings import Settings

STYLES = {"ok": "green", "note": "yellow", "bad": "red", "by hand": "cyan"}


def migrate(*, as_json: Json = False) -> None:
    """Bring the database to this version's schema."""
    from api.environment import find
    from consumers.store import upgrade
    from schemas.settings import load_settings
    from streams.errors import MillraceError

    settings = load_settings()
    database_url = settings.database_url.get_secret_value() if settings.database_url else find(settings).database_url
    if database_url is None:
        raise MillraceError("no database is known: set MILLRACE_DATABASE_URL, or start `./millrace up`")
    run(upgrade(database_url))
    if as_json:
        print_json({"migrated": True})
        return
    say("The tables are up to date.", "green")
    next_step(("doctor", "looks at the rest"))


def doctor(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what needs no person.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --fix: say what would be repaired.")] = False,
    production: Annotated[
        bool, typer.Option("--production", help="Go through docs/production.md, line by line.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look at connections, durability, the log's entries and counters, workers and blobs; say what to do.

    Ends with 0 when nothing is bad (any more), with 1 otherwise.
    """
    from schemas.settings import load_settings

    if dry_run and not fix:
        raise Usage("--dry-run goes with --fix: without --fix nothing is changed anyway")
    settings = load_settings()
    if fix:
        _fix(settings, dry_run=dry_run, as_json=as_json)
        if dry_run:
            return
    shown = run(_went_through(settings)) if production else run(_examined(settings))
    if as_json:
        for found in shown:
            print_json(asdict(found))
    else:
        _show(shown)
    if any(found.state == "bad" for found in shown):
        raise typer.Exit(1)


def _fix(settings: "Settings", *, dry_run: bool, as_json: bool) -> None:
    repaired = run(_repaired(settings, dry_run=dry_run))
    for one in repaired:
        if as_json:
            print_json(asdict(one))
        else:
            say(f"{one.what}: {one.did}")
    if as_json:
        return
    if not repaired:
        say("Nothing is to be repaired.")
    elif dry_run:
        next_step(("doctor --fix", "repairs this"))


def _show(shown: "Sequence[Finding | Checked]") -> None:
    from rich.text import Text

    rows = [(Text(one.state, STYLES[one.state]), *_told(one)) for one in shown]
    print_table(("", "", ""), rows)
    bad = sum(one.state == "bad" for one in shown)
    say(f"{bad} to be cured." if bad else "All is well.", "red" if bad else "green")
    if any(getattr(one, "repair", "") for one in shown):
        next_step(("doctor --fix --dry-run", "shows what would be repaired"), ("doctor --fix", "repairs it"))
    else:
        next_step(("streams", "shows what waits and runs"), ("doctor --production", "goes through docs/production.md"))


def _told(one: "Finding | Checked") -> tuple[str, str]:
    from api.production import Checked

    if isinstance(one, Checked):
        return one.key, f"{one.wants} {one.found[:1].upper()}{one.found[1:]}."
    return one.what, f"{one.found}{'. ' + one.cure if one.cure else ''}"


async def _examined(settings: "Settings") -> "list[Finding]":
    from api.environment import NothingRunning, connected, find
    from consumers.doctor import Finding, itself

    try:
        place = find(settings)
    except NothingRunning as error:
        return [itself(), Finding("servers", "bad", str(error))]
    async with connected(place) as services:
        return await _looked_at(services, place)


async def _looked_at(services: "Services", place: "Place") -> "list[Finding]":
    from consumers.doctor import examine

    # Its own address is safe to show: the embedded server has no password. MILLRACE_REDIS_URL may hold one.
    return await examine(
        services,
        redis=f"embedded at {place.redis_url}:" if place.is_embedded else "your own",
        postgres="embedded" if services.settings.database_url is None else "your own",
        artifacts=path_text_or_url(services.settings.artifacts_location),
    )


async def _went_through(settings: "Settings") -> "list[Checked]":
    from api.environment import connected, find
    from api.production import gather, go_through

    place = find(settings)
    async with connected(place) as services:
        return go_through(await gather(services, await _looked_at(services, place)))


async def _repaired(settings: "Settings", *, dry_run: bool) -> "list[Repaired]":
    from api.environment import connected, find
    from consumers.doctor import repair

    async with connected(find(settings)) as services:
        return await repair(services, dry_run=dry_run)


def path_text_or_url(location: str) -> str:
    """A folder as a person would type it, or the URL."""
    return location if "://" in location else path_text(Path(location))
