"""The command line where nothing runs: help, mistakes, and what they are answered with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.cli.health import judge_workers
from api.cli.root import ORDER
from api.cli.task import request_of

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (
    "demo up submit run jobs job result logs trace cancel retry task companies search answer collections leads "
    "audit-page robots-check worker api analytics alerts workers streams stages pause resume purge dlq replay limits "
    "schedule suppressions audit-log keys doctor health migrate backup restore setup eval bench chaos"
)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("REDIS_URL", "DATABASE_URL", "ARTIFACTS_URL", "NAMESPACE"):
        monkeypatch.delenv(f"MILLRACE_{name}", raising=False)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_help_shows_every_command_once_grouped() -> None:
    shown = ran("--help").stdout
    assert tuple(COMMANDS.split()) == ORDER
    for name in ORDER:
        assert f" {name} " in shown
    places = [shown.index(title) for title in ("Start here", "Jobs", "Operation")]
    assert places == sorted(places)


def test_no_command_at_all_shows_help() -> None:
    assert "Start here" in ran().output


def test_submit_shows_the_fields_of_the_flow() -> None:
    shown = ran("submit", "filings", "--help").stdout
    for expected in (
        "URL",
        "--years",
        "--document-types",
        "--company-name",
        "--max-pages",
        "--wait",
        "--spec",
        "--json",
    ):
        assert expected in shown
    assert "--fan-out" in ran("submit", "noop", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("streems",), "there is no command `streems`. Did you mean `streams`?"),
        (("submit", "nonsense"), "there is no flow 'nonsense'; installed are: "),
        (("run", "nonsense", "--inline"), "there is no flow 'nonsense'; installed are: "),
        (("submit", "filings"), "the job needs url"),
        (("submit", "filings", "ftp://a/"), "URL: url 'ftp://a/' must begin with http"),
        (("submit", "filings", "http://a/", "--years", "2024"), "--years: years=2024 as a count must be 1 to 50"),
        (("submit", "filings", "http://a/", "--spec", '{"pages": 1}'), "unknown field 'pages'"),
        (("submit", "noop", "--fan-out", "many"), "--fan-out: Input should be a valid integer"),
        (("submit", "noop", "--priority", "soon"), "--priority: priority 'soon' is not one of"),
        (("submit", "noop", "--until-stage", "bake"), "--until-stage: Input should be 'crawl'"),
        (("submit", "noop", "--from-stage", "extract"), "--from-stage the payload of that stage is needed"),
        (("submit", "noop", "--email", "nobody"), "--email: "),
        (("worker", "--stages", "bake"), "--stages: there is no 'bake'; choose of crawl, "),
        (("worker", "--pools", "default,gpu"), "--pools: there is no 'gpu'"),
        (("worker", "--flows", "nonsense"), "--flows: there is no 'nonsense'"),
        (("worker", "--name", "a b"), "--name 'a b' may have"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(arguments: tuple[str, ...], said: str) -> None:
    result = ran(*arguments)
    assert said in result.stderr
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs",), ("job", "0-a"), ("result", "0-a"), ("logs", "0-a"), ("trace", "0-a"), ("cancel", "0-a"),
        ("retry", "0-a"), ("workers",), ("streams",), ("dlq", "list"), ("dlq", "show", "0-1-1"), ("keys", "list"),
        ("keys", "create", "a"), ("keys", "revoke", "a"), ("migrate",), ("submit", "noop"),
    ],
)  # fmt: skip
def test_where_nothing_runs_it_says_what_to_start(arguments: tuple[str, ...]) -> None:
    result = ran(*arguments)
    assert "nothing is running here" in result.stderr
    assert "`./millrace up`" in result.stderr
    assert "MILLRACE_REDIS_URL" in result.stderr
    assert result.exit_code == 1
    assert result.stdout == ""


def test_the_doctor_says_so_too() -> None:
    result = ran("doctor", "--json")
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["state"] for one in findings] == ["ok", "bad"]
    assert result.exit_code == 1


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_REDIS_URL", "http://user:secret@host/")
    result = ran("jobs")
    assert "MILLRACE_REDIS_URL" in result.stderr
    assert "secret" not in result.output
    assert result.exit_code == 1


def test_a_log_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("MILLRACE_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    result = ran("workers")
    assert "127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.output
    assert result.exit_code == 1


def test_stages_need_no_server() -> None:
    rows = [json.loads(line) for line in ran("stages", "--json").stdout.splitlines()]
    assert [row["stage"] for row in rows if row["flow"] == "noop"] == [
        "crawl",
        "classify",
        "download",
        "extract",
        "compile",
        "notify",
    ]


def test_a_job_runs_inline() -> None:
    result = ran("run", "noop", "--inline", "--fan-out", "2", "--json")
    assert json.loads(result.stdout)["status"] == "succeeded"
    assert json.loads(result.stdout)["stages"]["extract"]["done"] == 2


def test_the_version_needs_no_command() -> None:
    told = ran("--version")
    assert told.exit_code == 0
    assert told.stdout.startswith("millrace ")


def test_a_host_without_workers_is_not_healthy() -> None:
    assert ran("health", "worker").exit_code == 1
    assert ran("health", "api").exit_code == 1


@pytest.mark.parametrize(
    ("seen_s_ago", "is_well", "why"),
    [((), False, "no worker"), ((1.0, 2.0), True, "2 workers, 6"), ((1.0, 11.0), False, "1 of 2 workers")],
)
def test_workers_are_healthy_when_all_were_seen_in_time(seen_s_ago: tuple[float, ...], is_well: bool, why: str) -> None:  # noqa: FBT001
    records = [{"name": f"w{at}", "seen_at": 1_000.0 - ago, "in_hand": 3} for at, ago in enumerate(seen_s_ago)]
    told = judge_workers(records, 1_000.0)
    assert told[0] is is_well
    assert why in told[1]


@pytest.mark.parametrize(
    ("command", "path", "body"),
    [
        (["company-scrape", "1"], "tasks/companies/1/scrape", {}),
        (["website-audit", "7"], "tasks/websites/7/audit", {}),
        (["noop"], "jobs", {"flow": "noop", "spec": {}}),
    ],
)
def test_old_names_of_tasks(command: list[str], path: str, body: dict[str, object]) -> None:
    assert request_of(command) == (path, body)


@pytest.mark.parametrize("command", [["company-scrape"], ["company-scrape", "1", "2"], ["noop", "1"]])
def test_old_names_that_cannot_be_understood(command: list[str]) -> None:
    assert ran("task", *command).exit_code == 2


@pytest.mark.parametrize("bounds", ["3", "4,2", "0,2", "1,9999", "a,b"])
def test_bounds_of_autoscale(bounds: str) -> None:
    assert ran("worker", "--autoscale", bounds).exit_code == 2
