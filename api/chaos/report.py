"""What a chaos run tells: figures for programs, a page for people."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from html import escape
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

from api.chaos.faults import FAULTS
from api.chaos.guards import GUARDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from api.chaos.recovery import Struck
    from api.chaos.run import Drill, Happened
    from api.chaos.told import Kind

RECOVERED_WITHIN_S: Final = 10.0
"""What 99 of 100 recoveries stay below."""
SHOWN: Final = 200
TRANSITIONS: Final = frozenset({"completed", "retried", "snoozed", "dead_lettered", "dropped", "redriven"})
VERDICTS: Final[dict[Kind, str]] = {
    "lost": "accepted and not done",
    "twice": "done twice",
    "orphan": "left behind in a stream, a pending list, a timer or the dead letters",
    "join": "counters or joins that do not fit",
    "effects": "effects of tasks that the log does not know as done",
    "unreplicated": "lost by a failover before a replica had it",
}


@dataclass(frozen=True, slots=True)
class Recoveries:
    """Seconds until all was well, of faults of one kind or of all.

    Attributes:
        faults: How many happened.
        measured: Of so many it is known how long the recovery took.
    """

    faults: int
    measured: int
    p50_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, struck: Sequence[Struck]) -> Recoveries:
        """The figures of some faults."""
        took = sorted(one.recovered_s for one in struck if one.recovered_s is not None)
        if not took:
            return cls(len(struck), 0, 0.0, 0.0, 0.0)
        cuts = quantiles([took[0], *took], n=100, method="inclusive") if len(took) == 1 else quantiles(
            took, n=100, method="inclusive"
        )  # fmt: skip
        return cls(len(struck), len(took), round(cuts[49], 2), round(cuts[98], 2), round(took[-1], 2))


def report(happened: Happened) -> dict[str, Any]:
    """The figures of a run, as JSON has them."""
    drill, history, sinks = happened.drill, happened.history, happened.sinks
    struck = [one for one in happened.struck if not one.error]
    by_kind = {kind: [one for one in struck if one.planned.kind == kind] for kind in FAULTS}
    kinds: tuple[Kind, ...] = tuple(VERDICTS)
    counts = {kind: sum(finding.kind == kind for finding in happened.findings) for kind in kinds}
    recoveries = Recoveries.of(struck)
    return {
        "ok": is_well(happened),
        "seed": drill.seed,
        "command": command(drill),
        "jobs": {
            "accepted": len(happened.ledger.accepted),
            "by_status": dict(sorted(history.statuses.items())),
            "sent": dict(happened.ledger.sent),
            "answered_otherwise": dict(happened.ledger.refused),
            "never_answered": len(happened.ledger.unanswered),
            "redriven": happened.ledger.redriven,
        },
        "transitions": sum(count for kind, count in history.types.items() if kind in TRANSITIONS),
        "moves": dict(sorted(history.types.items())),
        "faults": {
            "count": len(struck),
            "by_kind": {kind: asdict(Recoveries.of(ones)) for kind, ones in by_kind.items() if ones},
            "could_not_happen": [f"{one.planned.kind}: {one.error}" for one in happened.struck if one.error],
        },
        "recovery": asdict(recoveries),
        "findings": counts,
        "crashes": dict(happened.crashes),
        "duplicated_effects": {
            "effects": sinks.effects, "asked_for_again": sinks.repeats, "of_effects": sinks.repeated,
            "outcome_events": sinks.outcomes, "outcome_events_again": sinks.outcome_repeats,
        },
        "seconds": {
            "load": drill.seconds, "all": round(happened.took_s, 1), "until_quiet": round(happened.settled_s, 1),
        },
        "what_was_found": [f"{one.kind}: {one.text}" for one in happened.findings[:SHOWN]],
        "stories": happened.stories,
        "plan": [asdict(one) for one in drill.plan],
        "happened": [
            {
                "kind": one.planned.kind, "target": one.planned.target, "began_s": round(one.began_s, 2),
                "ended_s": round(one.ended_s, 2), "entries_held": len(one.held),
                "recovered_s": None if one.recovered_s is None else round(one.recovered_s, 3),
            }
            for one in struck
        ],
        "conditions": {
            "layout": asdict(drill.layout), "jobs_per_s": drill.jobs_per_s, "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "load_average": [round(load, 2) for load in os.getloadavg()],
        },
    }  # fmt: skip


def is_well(happened: Happened) -> bool:
    """Nothing was lost, done twice or left behind, and recoveries stayed within their bound."""
    recoveries = Recoveries.of([one for one in happened.struck if not one.error])
    is_broken = any(finding.kind != "unreplicated" for finding in happened.findings)
    return not is_broken and recoveries.p99_s <= RECOVERED_WITHIN_S


def command(drill: Drill) -> str:
    """What does the same again."""
    layout = drill.layout
    options = [f"--seed {drill.seed}", f"--minutes {drill.seconds / 60:g}", f"--jobs-per-s {drill.jobs_per_s:g}"]
    options += [f"--partitions {layout.partitions}"] if layout.partitions != 1 else []
    options += [f"--faults {','.join(drill.kinds)}"] if drill.kinds else []
    options += [f"--without {layout.without}"] if layout.without else []
    return f"./millrace chaos {' '.join(options)}"


def page(found: dict[str, Any]) -> str:
    """The report as a page that needs nothing else."""
    ok, faults, jobs, recovery = found["ok"], found["faults"], found["jobs"], found["recovery"]
    effects, seconds = found["duplicated_effects"], found["seconds"]
    rows = [
        ("Jobs accepted", f"{jobs['accepted']:,}"),
        ("Transitions", f"{found['transitions']:,}"),
        ("Faults", f"{faults['count']:,}"),
        ("Recovery, median", f"{recovery['p50_s']} s"),
        ("Recovery, 99 of 100", f"{recovery['p99_s']} s (bound: {RECOVERED_WITHIN_S:g} s)"),
        ("Recovery, longest", f"{recovery['max_s']} s"),
        ("Effects asked for again", f"{effects['asked_for_again']:,} of {effects['effects']:,}: each took place once"),
        ("Crashes of workers that no fault is", f"{sum(found['crashes'].values()):,}"),
        ("Load and faults", f"{seconds['load']:g} s; all at rest {seconds['until_quiet']:g} s later"),
    ]
    verdicts = [(VERDICTS[kind], count) for kind, count in found["findings"].items()]
    by_kind = [
        (
            FAULTS[kind].about, one["faults"], one["measured"], f"{one['p50_s']} s", f"{one['p99_s']} s",
            f"{one['max_s']} s",
        )
        for kind, one in faults["by_kind"].items()
    ]  # fmt: skip
    happened = [
        (f"{one['began_s']:.1f}", one["kind"], one["target"], f"{one['ended_s'] - one['began_s']:.1f} s",
         one["entries_held"], "" if one["recovered_s"] is None else f"{one['recovered_s']} s")
        for one in found["happened"]
    ]  # fmt: skip
    without = found["conditions"]["layout"]["without"]
    told = "".join(f"<li>{escape(text)}</li>" for text in found["what_was_found"])
    verdict = "Nothing was lost, done twice or left behind." if ok else "Something does not fit."
    return _PAGE.format(
        seed=found["seed"],
        state="ok" if ok else "bad",
        verdict=verdict,
        off=f"<p>Guard switched off: {escape(GUARDS[without].about)}.</p>" if without else "",
        figures=_table(("", ""), rows),
        verdicts=_table(("What was looked for", "Found"), verdicts),
        found=f"<h2>What was found</h2><ul>{told}</ul>" if told else "",
        by_kind=_table(("Fault", "Times", "Measured", "Median", "99 of 100", "Longest"), by_kind),
        happened=_table(("Second", "Fault", "Target", "Lasted", "Entries held", "Recovered in"), happened),
        command=escape(found["command"]),
        conditions=escape(
            f"{found['conditions']['machine']}, Python {found['conditions']['python']}, load average "
            f"{found['conditions']['load_average']}"
        ),
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{escape(f'{cell:,}' if isinstance(cell, int) else str(cell))}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if any(columns) else ''}<tbody>{body}</tbody></table>"


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Chaos, seed {seed}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8884; vertical-align: top; }}
.ok {{ border-left: .4rem solid #2a7; padding-left: 1rem; }}
.bad {{ border-left: .4rem solid #c33; padding-left: 1rem; }}
code {{ background: #8882; padding: .1rem .3rem; }}
</style></head><body>
<h1>Chaos, seed {seed}</h1>
<p class="{state}"><strong>{verdict}</strong></p>{off}
{figures}
<h2>Checks</h2>{verdicts}{found}
<h2>Faults</h2>{by_kind}
<details><summary>Each fault</summary>{happened}</details>
<h2>Again</h2><p><code>{command}</code></p><p>{conditions}</p>
</body></html>
"""
