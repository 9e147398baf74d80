"""Every command against a Millrace that runs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.commands import Home, Running

BLOCKED = "http://127.0.0.1:1/"


@pytest.fixture(scope="module")
def here(running: tuple[Home, Running]) -> Home:
    return running[0]


@pytest.fixture(scope="module")
def done(here: Home) -> str:
    """A job that succeeded."""
    job: str = here.json("submit", "noop", "--fan-out", "3", "--wait")["job_id"]
    return job


@pytest.fixture(scope="module")
def failed(here: Home) -> str:
    """A job whose only task was dead-lettered."""
    view = here.json("submit", "filings", BLOCKED, "--wait", code=1)
    assert view["status"] == "failed"
    job: str = view["job_id"]
    return job


def test_a_submission_for_people(here: Home) -> None:
    shown = here.run("submit", "noop", "--fan-out", "2", "--wait")
    assert re.search(r"^noop job 0-[0-9a-f]{20}  trace [0-9a-f]{32}$", shown, re.MULTILINE)
    assert "succeeded: crawl 1/1 · classify 2/2 · download 2/2 · extract 2/2 · compile 1/1" in shown
    assert "./millrace trace 0-" in shown


def test_the_same_id_is_the_same_job(here: Home) -> None:
    first = here.json("submit", "noop", "--job-id", "mine")
    assert first["job_id"] == "0-mine"
    assert here.json("submit", "noop", "--job-id", "mine")["trace_id"] == first["trace_id"]
    other = here.done("submit", "noop", "--job-id", "mine", "--fan-out", "2")
    assert other.returncode == 1
    assert "submitted before with another body" in other.stderr


def test_a_spec_from_a_file(here: Home, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text('{"fan_out": 2}')
    job = here.json("submit", "noop", "--spec", f"@{file}", "--priority", "9", "--wait")
    assert (job["stages"]["classify"]["done"], job["priority"]) == (2, "high")


def test_a_part_of_a_flow(here: Home) -> None:
    job = here.json(
        "submit", "noop", "--from-stage", "download", "--until-stage", "download", "--spec", '{"v": 1}', "--wait"
    )
    assert list(job["stages"]) == ["download", "notify"] or list(job["stages"]) == ["download"]


def test_jobs(here: Home, done: str, failed: str) -> None:
    jobs = {job["job_id"]: job["status"] for job in here.lines("jobs", "--limit", "1000")}
    assert (jobs[done], jobs[failed]) == ("succeeded", "failed")
    assert [job["flow"] for job in here.lines("jobs", "--flow", "filings")] == ["filings"]
    assert done in here.run("jobs")


def test_job(here: Home, done: str) -> None:
    assert here.json("job", done)["stages"]["extract"] == {"open": 0, "done": 3, "failed": 0}
    shown = here.run("job", done)
    assert "succeeded" in shown
    assert f"./millrace trace {done}" in shown


def test_a_failed_job_says_why(here: Home, failed: str) -> None:
    shown = here.run("job", failed)
    assert "crawl #1: blocked" in shown
    assert "MILLRACE_ALLOW_HOSTS" in shown


def test_trace(here: Home, done: str) -> None:
    assert len({span["task"] for span in here.json("trace", done)["spans"]}) == 12
    otlp = json.loads(here.run("trace", done, "--otlp"))
    assert len(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"]) > 12
    shown = here.run("trace", done)
    assert "crawl #1" in shown
    assert "notify #12" in shown


def test_logs(here: Home, failed: str) -> None:
    lines = here.lines("logs", failed, "--follow")
    assert lines[-1]["level"] == "error"
    assert "MILLRACE_ALLOW_HOSTS" in lines[-1]["message"]
    assert "error" in here.run("logs", failed)


def test_a_job_without_a_result_says_so(here: Home, done: str, failed: str) -> None:
    for job, said in ((done, "its flow makes none"), (failed, "it is failed")):
        answer = here.done("result", job)
        assert answer.returncode == 1
        assert said in answer.stderr


def test_cancel(here: Home, done: str) -> None:
    job = here.json("submit", "noop", "--run-at", "2090-01-01T00:00:00Z")["job_id"]
    assert here.json("cancel", job)["status"] == "cancelled"
    late = here.done("cancel", done)
    assert (late.returncode, "over already (succeeded)" in late.stderr) == (1, True)


def test_retry(here: Home, done: str) -> None:
    refused = here.done("retry", done)
    assert (refused.returncode, "no dead letters" in refused.stderr) == (1, True)
    job = here.json("submit", "filings", BLOCKED, "--wait", code=1)["job_id"]
    assert here.json("retry", job) == {"job_id": job, "redriven": 1}


def test_dead_letters(here: Home, failed: str) -> None:
    (letter,) = [one for one in here.lines("dlq", "list") if one["job"] == failed]
    whole = here.json("dlq", "show", letter["id"])
    assert json.loads(whole["data"])["url"].startswith("http://127.0.0.1:1")
    assert f"retry {failed}" in here.run("dlq", "show", letter["id"])
    assert letter["id"] in here.run("dlq", "list")


def test_fleet(here: Home) -> None:
    workers = here.lines("workers")
    assert len(workers) == 2
    assert workers[0]["name"] in here.run("workers")
    streams: list[dict[str, Any]] = here.lines("streams")
    assert {"crawl", "classify", "download", "extract", "compile", "notify"} <= {one["stage"] for one in streams}
    assert "crawl" in here.run("streams")
    assert "filings" in here.run("stages")


def test_keys(here: Home) -> None:
    made = here.json("keys", "create", "me", "--scope", "read")
    assert made["key"].startswith("mr_")
    assert [key["id"] for key in here.lines("keys", "list")] == [made["id"]]
    assert made["key"] not in here.run("keys", "list")
    here.run("keys", "revoke", made["id"])
    assert here.lines("keys", "list") == []
    assert here.done("keys", "create", "me", "--scope", "everything").returncode == 1


def test_care(here: Home) -> None:
    assert here.json("migrate") == {"migrated": True}
    states = {one["what"]: one["state"] for one in here.lines("doctor")}
    assert states["persistence"] == states["eviction"] == states["PostgreSQL"] == states["workers"] == "ok"
    assert "bad" not in states.values()
    assert here.lines("doctor", "--fix", "--dry-run") == []
    assert "Nothing is to be repaired" in here.run("doctor", "--fix")
    assert here.done("doctor", "--dry-run").returncode == 2
    production = here.done("doctor", "--production")
    assert production.returncode == 1
    assert "redis-eviction" in production.stdout
    assert "the embedded server has no password" in production.stdout.lower()
    assert here.json("health", "worker")["healthy"] is True


@pytest.mark.parametrize("command", ["job", "result", "logs", "trace", "cancel", "retry"])
@pytest.mark.parametrize("job", ["0-nobody", "no job id"])
def test_an_unknown_job(here: Home, command: str, job: str) -> None:
    answer = here.done(command, job)
    assert answer.returncode == 1
    assert f"there is no job {job}" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
