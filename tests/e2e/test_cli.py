"""Every command against a Millrace that runs."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
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


def test_dead_letters_are_worked_on(here: Home, tmp_path: Path) -> None:
    jobs = [here.json("submit", "filings", BLOCKED, "--wait", code=1)["job_id"] for _ in range(3)]
    mine = {one["job"]: one["id"] for one in here.lines("dlq", "list", "--flow", "filings", "--since", "10m")}
    counted = here.json("dlq", "retry", "--job", jobs[0], "--dry-run")
    assert (counted["letters"], counted["by_cause"][0]["stage"]) == (1, "crawl")
    assert here.json("dlq", "retry", "--job", jobs[0], "--rate", "50")["redriven"] == 1
    letter = mine[jobs[1]]
    wrong = here.done("dlq", "edit", letter, "--merge", '{"adress": "x"}')
    assert (wrong.returncode, "adress" in wrong.stderr) == (1, True)
    patch = tmp_path / "patch.json"
    patch.write_text('{"url": "http://127.0.0.1:2/"}')
    dry = here.json("dlq", "edit", letter, "--merge", f"@{patch}", "--dry-run")
    assert (dry["before"]["url"], dry["after"]["url"]) == (BLOCKED, "http://127.0.0.1:2/")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/127.0.0.1:1/127.0.0.1:3/' \"$1\"\n")
    editor.chmod(0o755)
    here.env["EDITOR"] = str(editor)
    assert here.json("dlq", "edit", letter)["after"]["url"] == "http://127.0.0.1:3/"
    assert "give up" in here.done("dlq", "drop", mine[jobs[2]]).stdout.lower(), "it asks, and nobody answers"
    assert here.json("dlq", "drop", mine[jobs[2]], "--yes")["dropped"] == 1
    assert here.done("dlq", "show", mine[jobs[2]]).returncode == 1
    for arguments in (("retry",), ("drop",), ("retry", letter, "--all"), ("retry", "--all", "--force")):
        assert here.done("dlq", *arguments).returncode == 2, arguments


def test_stop_and_go(here: Home) -> None:
    assert here.json("pause", "--stage", "classify", "--reason", "a look")["kind"] == "stage"
    assert "a look" in here.run("pause")
    time.sleep(0.6)  # workers look four times a second
    job = here.json("submit", "noop")["job_id"]
    assert here.json("purge", "--flow", "noop", "--dry-run")["jobs"] >= 1
    assert "Cancel" in here.done("purge", "--flow", "noop").stdout, "it asks, and nobody answers"
    assert here.json("job", job)["status"] in {"queued", "running"}
    assert here.json("purge", "--flow", "noop", "--yes")["jobs"] >= 1
    assert here.json("job", job)["status"] == "cancelled"
    assert here.json("resume", "--all")["resumed"] is True
    assert here.done("resume", "--stage", "classify").returncode == 1
    assert here.done("pause", "--stage", "bake").returncode == 2
    assert here.json("submit", "noop", "--wait")["status"] == "succeeded"
    acts = [(one["action"], one["target"]) for one in here.lines("audit-log", "--limit", "50")]
    assert acts[:3] == [("pause.remove", "stage:classify"), ("purge", "flow noop"), ("pause.add", "stage:classify")]
    assert "cli:" in here.run("audit-log")


def test_what_is_not_started_in_time_expires(here: Home) -> None:
    here.run("pause", "--flow", "noop")
    time.sleep(0.6)  # as above
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    job = here.json("submit", "noop", "--expires-at", soon)["job_id"]
    later = here.json("submit", "noop", "--run-at", soon)["job_id"]
    deadline = time.monotonic() + 10
    while here.json("job", job)["status"] == "queued" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert here.json("job", job)["status"] == "expired"
    assert here.json("job", later)["status"] == "queued"
    here.run("resume", "--flow", "noop")
    while here.json("job", later)["status"] != "succeeded" and time.monotonic() < deadline:
        time.sleep(0.1)
    view = here.json("job", later)
    assert view["status"] == "succeeded"
    assert view["started_at"] >= soon[:19]


def test_a_worker_is_drained_and_replaced(here: Home) -> None:
    before = {one["name"] for one in here.lines("workers")}
    gone = min(before)
    assert here.done("worker", "drain", "nobody").returncode == 1
    assert here.json("worker", "drain", gone, "--replace")["draining"] is True
    deadline = time.monotonic() + 15
    while gone in (now := {one["name"] for one in here.lines("workers")}) or len(now) < len(before):
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    assert now - before


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


@pytest.mark.parametrize("command", ["job", "result", "logs", "trace", "cancel", "retry"])
@pytest.mark.parametrize("job", ["0-nobody", "no job id"])
def test_an_unknown_job(here: Home, command: str, job: str) -> None:
    answer = here.done(command, job)
    assert answer.returncode == 1
    assert f"there is no job {job}" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
