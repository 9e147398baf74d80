"""Commands that run processes: `up`, `api`, `worker`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.root import Usage
from api.cli.screen import Json
from streams.errors import MillraceError

if TYPE_CHECKING:
    from api.environment import Place
    from api.up import Workers
    from schemas.settings import Settings

Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="Port of the API; 0 takes a free one.")]
Processes = Annotated[
    int | None, typer.Option(min=1, max=256, help="Worker processes.", show_default="one a core, two at least")
]
Names = list[str] | None
MOST_PROCESSES = 256


def up(*, port: Port = None, processes: Processes = None, as_json: Json = False) -> None:
    """Run everything: embedded servers, API with dashboard, workers and timers, in one process tree."""
    from api.environment import default_processes
    from api.up import Workers
    from schemas.settings import load_settings

    _run(load_settings(), Workers(processes or default_processes()), api=True, port=port, join=False, as_json=as_json)


def api(*, port: Port = None, as_json: Json = False) -> None:
    """Run the API alone, beside workers that run elsewhere."""
    from api.up import Workers
    from schemas.settings import load_settings

    _run(load_settings(), Workers(0), api=True, port=port, join=True, as_json=as_json)


def worker(
    ctx: typer.Context,
    *,
    stages: Annotated[Names, typer.Option(metavar="STAGE[,…]", help="Only these.", show_default="all six")] = None,
    flows: Annotated[
        Names, typer.Option(metavar="FLOW[,…]", help="Only these; entries of others are passed on.", show_default="all")
    ] = None,
    pools: Annotated[
        Names,
        typer.Option(
            metavar="POOL[,…]", help="Whose requirements it has.", show_default="all; browser with a Chromium only"
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Entries in hand at most.", show_default="MILLRACE_CONCURRENCY")
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Put before the name that each process gets.")] = "",
    processes: Annotated[int, typer.Option(min=1, max=256, help="Worker processes.")] = 1,
    autoscale: Annotated[
        str, typer.Option(metavar="MIN,MAX", help="As many processes as the backlog needs.", show_default="--processes")
    ] = "",
    reload: Annotated[bool, typer.Option("--reload", help="Drain and start again when a source file changes.")] = False,
    as_json: Json = False,
) -> None:
    """Run workers alone; or drain one that runs."""
    if ctx.invoked_subcommand is not None:
        return
    if reload:
        from api.cli.reload import reloading

        again = [sys.executable, *(part for part in sys.argv if part != "--reload")]
        raise typer.Exit(reloading(again, Path(__file__).parents[2]))
    from api.up import Workers
    from consumers.flow import installed
    from consumers.net.browser.chromium import is_installed
    from schemas.names import POOLS, STAGES
    from schemas.settings import load_settings

    if name and not (name.isascii() and name.replace("-", "").replace("_", "").replace(".", "").isalnum()):
        raise Usage(f"--name {name!r} may have letters, digits, '_', '.' and '-'")
    least, most = _bounds(autoscale) if autoscale else (processes, 0)
    settings = load_settings()
    met = POOLS if is_installed(settings.chromium) else tuple(pool for pool in POOLS if pool != "browser")
    asked = Workers(
        least,
        most=most,
        name=name,
        stages=_chosen("--stages", stages, STAGES) or STAGES,
        pools=_chosen("--pools", pools, POOLS) or met,
        flows=_chosen("--flows", flows, tuple(sorted(installed().by_name))),
        concurrency=concurrency,
    )
    _run(settings, asked, api=False, port=None, join=True, as_json=as_json)


def _bounds(text: str) -> tuple[int, int]:
    """MIN and MAX.

    Raises:
        Usage: They are no such numbers.
    """
    least, _, most = text.partition(",")
    if not (least.isdecimal() and most.isdecimal() and 1 <= int(least) <= int(most) <= MOST_PROCESSES):
        raise Usage(f"--autoscale {text!r} is not MIN,MAX with 1 <= MIN <= MAX <= {MOST_PROCESSES}, as in 2,8")
    return int(least), int(most)


def _chosen(option: str, given: Names, known: tuple[Any, ...]) -> tuple[Any, ...]:
    """What was named, in the order in which it is known.

    Raises:
        Usage: Something else was named.
    """
    names = {part.strip() for text in given or () for part in text.split(",") if part.strip()}
    unknown = sorted(names - set(known))
    if unknown:
        raise Usage(f"{option}: there is no {unknown[0]!r}; choose of {', '.join(known)}")
    return tuple(one for one in known if one in names)


def _run(settings: "Settings", workers: "Workers", *, api: bool, port: int | None, join: bool, as_json: bool) -> None:
    from api.cli.watch import Watch, leave_on_sigterm
    from api.environment import hosted
    from api.up import Plan, Tree, listen
    from streams.embedded import AlreadyRunning

    leave_on_sigterm()
    watch = Watch(as_json=as_json)
    bound = listen(settings.api_host, settings.api_port if port is None else port) if api else None
    watch.begin(settings)
    try:
        with hosted(settings, join=join) as host:
            if bound is not None:
                _check_reach(host.place)
            log = watch.log_file(settings)
            tree = Tree.start(Plan(host.place, workers, api=bound, log=log))
            address = bound.getsockname()[:2] if bound is not None else None
            code = watch.until_ended(tree, host, workers, address, log)
    except AlreadyRunning as error:
        raise MillraceError(f"Millrace runs here already. {error}") from None
    raise typer.Exit(code)


def _check_reach(place: "Place") -> None:
    """Refuse to listen beyond loopback without API keys.

    Raises:
        OpenListen: It would.
    """
    from api.auth import check_listen
    from api.cli.root import run
    from api.environment import connected

    async def has_keys() -> bool:
        async with connected(place) as services:
            return await services.api_keys.any()

    check_listen(place.settings.api_host, run(has_keys()))


__all__ = ["api", "up", "worker"]
