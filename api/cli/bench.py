"""`millrace bench`: what it can do on this machine and this server."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, path_text, print_json, print_table, say

NAMES = (
    "throughput, partitions, tracing, peers, latency, submit, memory, recovery, growth, soak, claims, autoscale, "
    "capacity, profile, slowlog"
)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]…", help=f"What to measure: {NAMES}.", show_default="what takes two minutes"),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Measure everything; about ten minutes.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With a backlog of a million and a worker over a million entries.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=100, help="Jobs of six transitions in a throughput run.", show_default="5000")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Times that the pipelines, floor and peers take turns.", show_default="3")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write a page with tables, and plots beside it.")
    ] = None,
    peers_python: Annotated[
        str, typer.Option(metavar="PATH", help="A Python that has the peers.", show_default="this one")
    ] = "",
    as_json: Json = False,
) -> None:
    """Measure throughput beside its floor, latency, memory and more, on a server of its own."""
    from api.bench import Plan, UnknownMeasurement
    from api.bench import bench as measured
    from api.bench.catalogue import chosen

    if names and everything:
        raise Usage("--all measures everything: name nothing with it")
    if write is not None and write.suffix != ".md":
        raise Usage(f"--write {str(write)!r} is no Markdown file: its name ends in .md")
    try:
        chosen(names or ())
    except UnknownMeasurement as error:
        raise Usage(str(error)) from None

    def told(text: str) -> None:
        if not as_json:
            say(f"  {text}", "bright_black")

    plan = (Plan.full() if full else Plan()).of(jobs=jobs, rounds=rounds)
    with _server() as redis_url:
        figures = run(measured(redis_url, plan, told, names=names or (), is_all=everything, peers_python=peers_python))
    if write is not None:
        _write(figures, write, as_json=as_json)
    if as_json:
        print_json(figures)
    else:
        _show(figures)
    if "failed" in figures:
        raise typer.Exit(1)


def _show(figures: dict[str, Any]) -> None:
    figures.pop("runs", None)  # each single one; the medians are above
    print_table(("", ""), list(_rows(figures)))
    next_step(
        ("bench --json", "prints them for programs"),
        ("bench --all --write docs/benchmarks.md", "measures everything and writes the page"),
    )


def _write(figures: dict[str, Any], path: Path, *, as_json: bool) -> None:
    from api.bench.report import write

    for file in write(figures, path):
        if not as_json:
            say(f"  wrote {path_text(file)}", "bright_black")


@contextmanager
def _server() -> Iterator[str]:
    """MILLRACE_REDIS_URL, or an embedded server that serves nobody else, as durable as the one that ships."""
    from schemas.settings import load_settings
    from streams.embedded import EmbeddedServers

    settings = load_settings()
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    with (
        tempfile.TemporaryDirectory(prefix="millrace-bench-") as home,
        EmbeddedServers.start(Path(home), postgres=False) as servers,
    ):
        yield servers.redis_url


def _rows(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each figure, those of groups one by one."""
    for name, value in values.items():
        said = prefix + name.replace("_", " ")
        if isinstance(value, dict):
            yield from _rows(value, f"{said}: ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in value:
                rest = {key: part for key, part in one.items() if key != "name"}
                yield from _rows(rest, f"{said}: {one.get('name', '')}: ")
        else:
            yield said, f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
