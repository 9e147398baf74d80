"""`chaos`: hurt a Millrace of its own in every way that is known, and see whether anything was lost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, path_text, print_json, print_table, say

if TYPE_CHECKING:
    from api.chaos.run import Drill

SECONDS_A_MINUTE = 60
FRESH_SEEDS = 1_000_000


def chaos(
    *,
    seed: Annotated[int | None, typer.Option(min=0, help="Of faults and load.", show_default="a fresh one")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=1_440, help="Of load and faults.")] = 2.0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A page for people, and FILE with .json for programs.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would happen when, and do nothing.")] = False,
    jobs_per_s: Annotated[float, typer.Option(min=0.1, max=5_000, help="Submitted while answers come.")] = 70.0,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Of the log.")] = 1,
    faults: Annotated[str, typer.Option(metavar="KIND[,…]", help="Only these.", show_default="all")] = "",
    without: Annotated[
        str, typer.Option(metavar="GUARD", help="Switch off fence, join or deduplication: it must be found.")
    ] = "",
    redis_server: Annotated[
        str | None, typer.Option(metavar="wheel|PATH", help="The server.", show_default="as `up` chooses")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hurt a Millrace of its own in every known way, and check that nothing is lost or done twice.

    Starts servers, workers and an API in a temporary folder; nothing that you run is touched. Ends with 0 when nothing
    was lost, done twice or left behind and recoveries stayed within 10 s (99 of 100), with 1 otherwise.
    """
    drill = _drill(seed, minutes, jobs_per_s, partitions, faults, without, redis_server)
    if plan:
        _print_plan(drill, as_json=as_json)
        return
    from api.chaos.report import report as figures_of
    from api.chaos.run import run as happen
    from api.cli.watch import leave_on_sigterm

    def told(text: str) -> None:
        if not as_json:
            say(f"  {text}", "bright_black")

    leave_on_sigterm()
    if not as_json:
        say(f"seed {drill.seed}: {len(drill.plan)} faults in {minutes:g} minutes")
    figures = figures_of(run(happen(drill, told, report.with_suffix(".logs") if report else None)))
    if report is not None:
        _write(report, figures)
    if as_json:
        print_json(figures)
    else:
        _show(figures, report)
    if not figures["ok"]:
        raise typer.Exit(1)


def _drill(
    seed: int | None, minutes: float, jobs_per_s: float, partitions: int, faults: str, without: str, redis: str | None
) -> "Drill":
    import secrets

    from api.chaos.faults import FAULTS
    from api.chaos.guards import GUARDS
    from api.chaos.place import Layout
    from api.chaos.run import Drill

    kinds = tuple(part.strip() for part in faults.split(",") if part.strip())
    if unknown := [kind for kind in kinds if kind not in FAULTS]:
        raise Usage(f"--faults: there is no {unknown[0]!r}; choose of {', '.join(FAULTS)}")
    guard = next((name for name in GUARDS if name == without), None)
    if without and guard is None:
        raise Usage(f"--without: there is no guard {without!r}; choose of {', '.join(GUARDS)}")
    return Drill(
        secrets.randbelow(FRESH_SEEDS) if seed is None else seed, minutes * SECONDS_A_MINUTE, jobs_per_s,
        Layout(partitions=partitions, without=guard, redis_server=redis), kinds=kinds,
    )  # fmt: skip


def _print_plan(drill: "Drill", *, as_json: bool) -> None:
    from dataclasses import asdict

    from api.chaos.report import command

    if as_json:
        print_json({"seed": drill.seed, "plan": [asdict(one) for one in drill.plan]})
        return
    rows = [(f"{one.at_s:.1f} s", one.kind, one.target, f"{one.lasts_s:.1f} s") for one in drill.plan]
    print_table(("at", "fault", "target", "lasts"), rows, right=("at", "lasts"))
    next_step((command(drill).removeprefix("./millrace "), "does it"))


def _write(report: Path, figures: dict[str, Any]) -> None:
    import orjson

    from api.chaos.report import page

    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(page(figures), encoding="utf-8")
    report.with_suffix(".json").write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))


def _show(figures: dict[str, Any], report: Path | None) -> None:
    from api.chaos.report import VERDICTS

    faults, recovery = figures["faults"], figures["recovery"]
    rows = [
        (kind, one["faults"], one["measured"], one["p50_s"], one["p99_s"], one["max_s"])
        for kind, one in (*faults["by_kind"].items(), ("all", recovery))
    ]
    numbers = ("faults", "measured", "p50 s", "p99 s", "max s")
    print_table(("recovery of", *numbers), rows, right=numbers)
    say("")
    jobs, effects = figures["jobs"], figures["duplicated_effects"]
    say(f"{jobs['accepted']:,} jobs accepted, {figures['transitions']:,} transitions, {faults['count']} faults")
    say(f"{effects['asked_for_again']} of {effects['effects']:,} effects were asked for again, each took place once")
    for kind, count in figures["findings"].items():
        say(f"{count} {VERDICTS[kind]}", "red" if count else "green")
    for why, count in figures["crashes"].items():
        say(f"{count} times {why}", "red")
    for text in figures["what_was_found"][:20]:
        say(f"  {text}", "red")
    if not figures["ok"] and not figures["what_was_found"]:
        say(f"recovery took longer than its bound: p99 {recovery['p99_s']} s", "red")
    hints = [(figures["command"].removeprefix("./millrace "), "does the same again")]
    if report is not None:
        say(f"The report is {path_text(report)}, for programs {path_text(report.with_suffix('.json'))}.")
    else:
        hints.append((f"{hints[0][0]} --report chaos.html", "keeps a page for people"))
    next_step(*hints)


__all__ = ["chaos"]
