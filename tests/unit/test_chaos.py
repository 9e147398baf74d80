"""What chaos decides without a server: the plan of a seed, what a history tells, what a report says."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from typer.testing import CliRunner

from api.chaos import guards
from api.chaos.faults import FAULTS, Planned
from api.chaos.flow import PAGES, WIDTH, expected_of
from api.chaos.history import History
from api.chaos.load import Ledger
from api.chaos.place import Layout
from api.chaos.plan import FIRST_S, QUIET_S, plan
from api.chaos.recovery import Struck, TakenOver
from api.chaos.report import page, report
from api.chaos.run import Drill, Happened
from api.chaos.sinks import Sinks
from api.chaos.told import Finding, Told
from api.cli import app
from streams import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = Layout()


def test_a_seed_is_a_plan() -> None:
    assert plan(7, 600, WHOLE) == plan(7, 600, WHOLE)
    assert plan(7, 600, WHOLE) != plan(8, 600, WHOLE)
    # It is the same on every machine and in every version of Python that runs this.
    assert [(one.at_s, one.kind, one.target) for one in plan(7, 60, WHOLE)[:3]] == [
        (3.0, "api_sigkill", ""),
        (3.0, "postgres_restart", ""),
        (5.678, "network_cut", "worker1"),
    ]


def test_every_kind_comes_before_any_comes_twice() -> None:
    found = plan(3, 1_800, WHOLE)
    assert len(found) >= 200
    assert set(FAULTS) == {one.kind for one in found}
    for track in ("hard", "side"):
        kinds = [one.kind for one in found if FAULTS[one.kind].track == track]
        times = Counter(kinds).values()
        assert max(times) - min(times) <= 1


def test_hard_faults_leave_time_to_recover() -> None:
    hard = [one for one in plan(11, 900, WHOLE) if FAULTS[one.kind].track == "hard"]
    assert hard[0].at_s == FIRST_S
    for before, after in itertools.pairwise(hard):
        assert after.at_s >= before.at_s + before.lasts_s + FAULTS[before.kind].settle_s
    assert hard[-1].at_s + hard[-1].lasts_s <= 900 - QUIET_S


def test_only_what_is_there_is_hit() -> None:
    small = Layout(workers=1, tree=False, api=False, postgres=False)
    found = plan(5, 1_800, small)
    assert {"postgres_restart", "api_sigkill", "supervised_sigkill", "artifacts_refused"}.isdisjoint(
        one.kind for one in found
    )
    assert {one.target for one in found} == {"", "worker1", "load"}
    assert {one.kind for one in plan(5, 300, WHOLE, ("client_kill", "otlp_dead"))} == {"client_kill", "otlp_dead"}


def test_who_is_stopped_or_cut_off_is_so_past_its_leases() -> None:
    for one in plan(9, 1_800, WHOLE):
        if FAULTS[one.kind].past_lease:
            assert one.lasts_s > 1.8 * WHOLE.lease_ms / 1_000


@pytest.fixture
def shipped() -> Iterator[None]:
    script = scripts.script
    yield
    scripts.script = script


@pytest.mark.parametrize("name", list(guards.GUARDS))
@pytest.mark.usefixtures("shipped")
def test_a_guard_is_where_it_is_switched_off(name: guards.GuardName) -> None:
    before = {move: scripts.script(move).source for move in scripts.MOVES}
    guards.switch_off(name)
    changed = [move for move in scripts.MOVES if scripts.script(move).source != before[move]]
    assert changed
    assert all(guard[0] not in scripts.script(move).source for move in changed for guard in guards.GUARDS[name].changes)


@pytest.mark.parametrize(
    ("rows", "kind", "text"),
    [
        ([("completed", {"task": 1}), ("completed", {"task": 1})], "twice", "attempt 1 closes twice"),
        ([("completed", {"task": 1}), ("retried", {"task": 1, "attempt": "2"})], "twice", "the task is done"),
        ([("completed", {"task": 2})], "orphan", "was never opened"),
        ([("completed", {"task": 1, "emitted": [(1, "classify")]})], "twice", "is opened twice"),
        ([("promoted", {"task": 1}), ("redriven", {"task": 1})], "twice", "the task is open"),
    ],
)
def test_what_cannot_be_is_told(rows: list[tuple[str, dict[str, Any]]], kind: str, text: str) -> None:
    told = Told()
    told.tell("1-0", {"type": "submitted", "job": "0-a", "task": "1", "stage": "crawl", "revision": "1"})
    for at, (type_, fields) in enumerate(rows):
        row = {name: str(value) for name, value in fields.items() if name != "emitted"}
        if "emitted" in fields:
            emitted = [{"task": task, "stage": stage, "data": {}} for task, stage in fields["emitted"]]
            row["emitted"] = orjson.dumps(emitted).decode()
        told.tell(f"{at + 2}-0", {"type": type_, "job": "0-a", "revision": "1", **row})
    assert any(one.kind == kind and text in one.text for one in told.findings), told.findings


def test_a_mixed_job_is_known_beforehand() -> None:
    first, second = expected_of("mixed"), expected_of("mixed", revision=2)
    assert (first.dead, second.dead) == (PAGES, 0)
    assert first.done["classify"] == PAGES * WIDTH - PAGES
    assert second.done["download"] - first.done["download"] == PAGES
    assert (first.done["notify"], second.done["compile"]) == (1, 2)


def test_a_recovery_ends_when_the_last_entry_was_taken_over() -> None:
    struck = Struck(Planned(1.0, "worker_sigkill", "worker1", 1.0, 0.5), 1.0, began_ms=10_000)
    struck.held = {("0-a", "1"), ("0-a", "2"), ("0-b", "1")}
    taken_over = TakenOver([struck])
    for at_ms, job, task in ((9_000, "0-a", "1"), (12_000, "0-a", "1"), (15_500, "0-a", "2"), (99_000, "0-a", "2")):
        taken_over.hear(at_ms, {"job": job, "task": task})
    assert struck.recovered_s == 5.5
    assert taken_over.never == [(struck, ("0-b", "1"))]


def happened(*findings: Finding, recovered_s: float = 2.0) -> Happened:
    struck = Struck(Planned(3.0, "client_kill", "", 0.1, 0.5), 3.0, ended_s=3.1, recovered_s=recovered_s)
    history = History(Counter(completed=6, submitted=1), list(findings), Counter(succeeded=1))
    ledger = Ledger(shapes={"0-a": "chain"})
    return Happened(Drill(seed=7, seconds=60), [struck], ledger, history, Sinks(effects=3, repeats=1), 70.0, 10.0)


def test_a_report_says_whether_all_is_well() -> None:
    figures = report(happened())
    assert figures["ok"] is True
    assert figures["command"] == "./millrace chaos --seed 7 --minutes 1 --jobs-per-s 70"
    assert figures["recovery"] == {"faults": 1, "measured": 1, "p50_s": 2.0, "p99_s": 2.0, "max_s": 2.0}
    assert figures["transitions"] == 6
    assert figures["plan"] == [
        {"at_s": p.at_s, "kind": p.kind, "target": p.target, "lasts_s": p.lasts_s, "value": p.value}
        for p in Drill(seed=7, seconds=60).plan
    ]
    assert orjson.loads(orjson.dumps(figures)) == figures


@pytest.mark.parametrize(
    ("what", "is_well"),
    [
        (happened(Finding("lost", "job 0-a was accepted and has no record")), False),
        (happened(Finding("twice", "job 0-a was opened 2 times")), False),
        (happened(Finding("orphan", "crawl: pending 1-1 has no entry")), False),
        (happened(recovered_s=11.0), False),
        (happened(Finding("unreplicated", "job 0-a was accepted and has no record")), True),
    ],
)
def test_what_a_failover_lost_unreplicated_is_told_apart(what: Happened, is_well: bool) -> None:  # noqa: FBT001
    assert report(what)["ok"] is is_well


def test_the_page_needs_nothing_else_and_escapes() -> None:
    html = page(report(happened(Finding("lost", "<script>alert(1)</script>"))))
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert "http" not in html
    assert "Something does not fit." in html
    off = happened()
    off.drill = replace(off.drill, layout=Layout(without="fence"))
    assert "Guard switched off" in page(report(off))


def test_the_command_prints_the_plan_of_a_seed() -> None:
    first = CliRunner().invoke(app, ["chaos", "--seed", "7", "--minutes", "1", "--plan", "--json"])
    assert first.exit_code == 0, first.output
    again = CliRunner().invoke(app, ["chaos", "--seed", "7", "--minutes", "1", "--plan", "--json"])
    assert orjson.loads(first.stdout) == orjson.loads(again.stdout)
    shown = CliRunner().invoke(app, ["chaos", "--seed", "7", "--minutes", "1", "--plan"])
    assert "./millrace chaos --seed 7 --minutes 1" in shown.stdout


@pytest.mark.parametrize(("option", "value"), [("--faults", "rain"), ("--without", "luck")])
def test_what_is_not_known_is_said_with_what_is(option: str, value: str) -> None:
    refused = CliRunner().invoke(app, ["chaos", option, value, "--plan"])
    assert refused.exit_code == 2
    assert f"there is no {'guard ' if option == '--without' else ''}'{value}'; choose of" in refused.stderr
