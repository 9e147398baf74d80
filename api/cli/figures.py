"""``analytics show`` and ``alerts``: what the live analytics count, and what they warn of."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, duration_text, instant_text, next_step, print_json, print_table, say

alerts = typer.Typer(invoke_without_command=True, help="Alert rules: where they stand, and silence.")

RuleName = Annotated[
    str, typer.Argument(metavar="RULE", help="queue_too_long, failure_rate, nothing_finished or dlq_growing.")
]


def show(
    *,
    window: Annotated[Literal["1m", "5m", "15m"], typer.Option(help="1m tumbles, 5m and 15m hop.")] = "5m",
    host: Annotated[bool, typer.Option("--by-host", help="A row for each host.")] = False,
    as_json: Json = False,
) -> None:
    """Show throughput, failures and durations by stage and flow, over all tenants."""
    from api.cli.lookup import here
    from api.figures import figures
    from consumers.analytics.shown import fullest_of, summed

    async def ask() -> dict[str, Any]:
        async with here() as services:
            return await figures(services, window, None)

    found = run(ask())
    if as_json:
        print_json(found)
        return
    if found["is_stale"]:
        say("Nobody counts: `millrace up` does, or start `millrace analytics`.", "yellow")
    fullest = fullest_of(found["windows"], window, found["at_ms"] or 0)
    names = ("stage", "flow", "host") if host else ("stage", "flow")
    rows = summed(fullest["rows"] if fullest else (), names)
    print_table(
        (*names, "in", "done", "per s", "failed", "rate", "retried"),
        [
            (*(row[name] for name in names), row["opened"], row["done"], f"{row['per_s']:.2f}", row["failed"],
             None if row["failure_rate"] is None else f"{row['failure_rate']:.1%}", row["retried"])
            for row in rows
        ],
        right=("in", "done", "per s", "failed", "rate", "retried"),
    )  # fmt: skip
    for stage, queue in found["queues"].items():
        if queue["waiting"]:
            age_s = max(0.0, (found["at_ms"] - queue["oldest_ms"]) / 1_000)
            say(f"{queue['waiting']} wait at {stage}, the oldest for {duration_text(age_s)}")
    next_step(("alerts", "shows what is too much"), ("analytics show --json", "has the durations too"))


@alerts.callback()
def list_(ctx: typer.Context, *, as_json: Json = False) -> None:
    """List the alert rules, what fires first."""
    if ctx.invoked_subcommand is not None:
        return
    from api.cli.lookup import here
    from api.figures import alert_views

    async def ask() -> list[dict[str, Any]]:
        async with here() as services:
            return await alert_views(services)

    views = run(ask())
    if as_json:
        for view in views:
            print_json(view)
        return
    if not views:
        say("No rule has been looked at yet: `millrace up` does, or start `millrace analytics`.")
        return
    print_table(
        ("alert", "of", "state", "since", "figure", "threshold", "silent until"),
        [
            (view["rule"], view["subject"], "FIRES" if view["is_firing"] else "well", _instant(view["since_ms"]),
             f"{view['value']:g}", f"{view['threshold']:g}",
             _instant(view["silence"]["until_ms"]) if view["silence"] else None)
            for view in views
        ],
        right=("figure", "threshold"),
    )  # fmt: skip
    for view in views:
        if view["is_firing"]:
            say(f"{view['said']}: {view['cure']}", "red")
    next_step((f"alerts silence {views[0]['rule']} --for 2h", "tells nobody of it for a while"))


@alerts.command()
def silence(
    rule: RuleName,
    *,
    for_: Annotated[str, typer.Option("--for", metavar="30m|2h|1d", help="How long; 0s ends it.")] = "1h",
    reason: Annotated[str, typer.Option(help="Why, for the others.")] = "",
    as_json: Json = False,
) -> None:
    """Tell nobody of a rule for a while; it goes on deciding."""
    import time

    from api.audit import cli_actor, record
    from api.cli.lookup import here
    from api.cli.typed import seconds_of
    from api.figures import kept_of
    from consumers.analytics.keep import Silence, silence_view
    from consumers.analytics.rules import RULES

    if rule not in RULES:
        raise Usage(f"there is no rule {rule!r}; choose of {', '.join(RULES)}")
    for_s = seconds_of("--for", for_)
    kept = Silence(rule, round((time.time() + for_s) * 1_000), cli_actor(), reason)

    async def act() -> None:
        async with here() as services:
            await kept_of(services).silence(kept)
            await record(services, cli_actor(), "alert.silence", rule, {"for_s": for_s, "reason": reason})

    run(act())
    if as_json:
        print_json(silence_view(kept))
        return
    say(f"Nobody is told of {rule} until {_instant(kept.until_ms)}." if for_s else f"{rule} is told of again.")
    next_step(("alerts", "shows where the rules stand"))


def _instant(ms: int) -> str:
    return instant_text(datetime.fromtimestamp(ms / 1_000, UTC)) if ms else ""


__all__ = ["alerts", "show"]
