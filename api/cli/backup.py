"""Commands that keep everything twice: `backup`, `restore`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.root import run
from api.cli.screen import Json, bytes_text, next_step, path_text, print_json, say

if TYPE_CHECKING:
    from collections.abc import Callable

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that keeps several backups.", show_default=False)]


def backup(folder: Folder, *, as_json: Json = False) -> None:
    """Back up the log, the database and the artifacts, while everything runs."""
    from api.backup import back_up
    from api.environment import connected, find
    from schemas.settings import load_settings

    place = find(load_settings())

    async def act() -> Any:
        async with connected(place) as services:
            return await back_up(services, place, folder.absolute(), _told(as_json=as_json))

    made = run(act())
    if as_json:
        print_json(asdict(made))
        return
    say(
        f"Backup {made.name} is in {path_text(folder.absolute())}: {made.artifacts} artifacts, "
        f"{bytes_text(made.artifact_bytes)}, those of earlier backups included.", "green"
    )  # fmt: skip
    next_step((f"restore {folder}", "puts the last one back, elsewhere or after a loss"))


def restore(
    folder: Folder,
    *,
    name: Annotated[str, typer.Option("--from", metavar="NAME", help="Which backup.", show_default="the last")] = "",
    redis_data: Annotated[
        Path | None,
        typer.Option("--redis-data", metavar="DIR", help="Data folder of your own Redis, which is stopped."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a backup back, where nothing is yet."""
    from api.backup import restore as put_back
    from schemas.settings import load_settings

    made = run(
        put_back(
            load_settings(), folder.absolute(), name=name, redis_data=redis_data, say=_told(as_json=as_json)
        )
    )  # fmt: skip
    if as_json:
        print_json(asdict(made))
        return
    say(f"Backup {made.name} is back.", "green")
    next_step(("up", "goes on with it"), ("doctor --fix", "looks whether all of it fits"))


def _told(*, as_json: bool) -> "Callable[[str], None]":
    return (lambda _: None) if as_json else (lambda text: say(f"  {text}", "bright_black"))
