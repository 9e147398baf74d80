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


def test_a_plan_submits_nothing_and_says_what_jobs_alike_needed(here: Home, done: str) -> None:
    before = len(here.lines("jobs", "--flow", "noop", "--limit", "1000"))
    planned = here.json("submit", "noop", "--plan")
    assert (planned["dry_run"], planned["stage"], planned["estimate"]["based_on"] >= 1) == (True, "crawl", True)
    shown = here.run("submit", "noop", "--plan")
    assert "nothing is submitted" in shown
    assert "jobs of this flow that ended here" in shown
    assert len(here.lines("jobs", "--flow", "noop", "--limit", "1000")) == before
    assert done


def test_jobs(here: Home, done: str, failed: str) -> None:
    jobs = {job["job_id"]: job["status"] for job in here.lines("jobs", "--limit", "1000")}
    assert (jobs[done], jobs[failed]) == ("succeeded", "failed")
    assert [job["flow"] for job in here.lines("jobs", "--flow", "filings")] == ["filings"]
    assert done in here.run("jobs")


def test_a_job_s_bundle_fails_here_as_it_did_there(here: Home, failed: str, done: str, tmp_path: Path) -> None:
    file = tmp_path / "failed.zip"
    told = here.json("job", "export", failed, "--to", str(file))
    assert (told["flow"], told["failed"], told["file"]) == ("filings", [1], str(file))
    assert told["versions"]["stage.crawl"]
    shown = here.run("job", "import", str(file), code=1)
    assert "crawl #1, which failed with" in shown
    assert "Traceback" in shown
    tried = here.json("job", "import", str(file), "--task", "1", code=1)
    assert (tried["stage"], tried["outcome"]) == ("crawl", "raised")
    fine = tmp_path / "fine.zip"
    assert "job import" in here.run("job", "export", done, "--to", str(fine), "--task", "2")
    assert "No task of noop job" in here.run("job", "import", str(fine))
    assert here.json("job", "import", str(fine), "--task", "2")["outcome"] == "done"
    assert "no such" in here.done("job", "import", str(tmp_path / "none.zip")).stderr.lower()


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


def test_jobs_are_replayed(here: Home, done: str, failed: str) -> None:
    shown = here.run("replay", "--job", done, "--from-stage", "extract", "--dry-run")
    assert "1 jobs would run again, 5 entries. Nothing was submitted." in shown
    assert re.search(r"noop begins at extract +1 jobs", shown)
    view = here.json("replay", "--job", done, "--from-stage", "extract", "--rate", "20 jobs/s", "--wait")
    assert (view["status"], view["jobs"], view["entries"], view["rate"]["jobs_per_s"]) == ("done", 1, 5, 20)
    assert view["replay_id"] in here.run("replay", "list")
    assert "jobs submitted" in here.run("replay", "show", view["replay_id"])
    over = here.done("replay", "cancel", view["replay_id"])
    assert (over.returncode, "over already (done)" in over.stderr) == (1, True)
    unknown = here.done("replay", "show", "r-unknown")
    assert (unknown.returncode, "there is no replay" in unknown.stderr) == (1, True)
    # What failed at a stage that fetches gave nothing that could be used again.
    assert here.json("replay", "--job", failed, "--dry-run")["missing"] == {"nothing_to_do": 1}
    planned = here.json("replay", "--dlq", "--flow", "filings", "--fetch", "--dry-run")
    assert planned["starts_at"] == {"filings": {"crawl": planned["jobs"]}}
    assert planned["jobs"] >= 1
    lacks = here.run("replay", "--job", "0-unheard-of", "--dry-run")
    assert "no job 0-unheard-of that fits has ended" in lacks


def test_what_a_replay_is_asked_wrongly(here: Home) -> None:
    for arguments, said in (
        ((), "nothing is selected"),
        (("--flow", "noop", "--rate", "fast"), "is no rate"),
        (("--flow", "noop", "--since", "yesterday"), "is no time"),
        (("--flow", "noop", "--from-stage", "parse"), "from_stage"),
        (("--job", "nonsense"), "jobs.0"),
        (("--flow", "noop", "--into", "x"), "go with --stream KEY"),
        (("--stream", "nowhere"), "--into KEY or --print"),
        (("--stream", "nowhere", "--into", "x", "--rate", "3 jobs"), "in entries a second"),
    ):
        answer = here.done("replay", *arguments)
        assert (answer.returncode, said in answer.stderr) == (2, True), (arguments, answer.stderr)
    missing = here.done("replay", "--stream", "nowhere", "--print")
    assert (missing.returncode, "there is no stream 'nowhere'" in missing.stderr) == (1, True)


def test_the_entries_of_a_stream_are_printed_and_copied(here: Home, done: str) -> None:
    lifecycle = "millrace:{0}:lifecycle"
    rows = [json.loads(line) for line in here.run("replay", "--stream", lifecycle, "--print").splitlines()]
    assert done in {row["fields"]["job"] for row in rows}
    ids = [row["id"] for row in rows]
    some = ("--stream", lifecycle, "--from-id", ids[1], "--to-id", ids[3])
    assert here.json("replay", *some, "--dry-run") == {
        "dry_run": True, "stream": lifecycle, "entries": 3, "last": ids[3],
    }  # fmt: skip
    assert here.json("replay", *some, "--into", "elsewhere")["copied"] == 3
    copied = [json.loads(line) for line in here.run("replay", "--stream", "elsewhere", "--print").splitlines()]
    assert [row["fields"] for row in copied] == [row["fields"] for row in rows[1:4]]


def test_schedules_by_hand(here: Home) -> None:
    made = here.run(
        "schedule", "add", "each-night", "noop", "--cron", "30 2 * * *", "--time-zone", "Europe/Berlin", "--spec",
        '{"fan_out": 2}', "--about", "for the test",
    )  # fmt: skip
    assert "Schedule each-night: 30 2 * * * Europe/Berlin, next " in made
    assert "./millrace schedule run each-night" in made
    again = here.done("schedule", "add", "each-night", "noop", "--every", "2h")
    assert (again.returncode, "there is a schedule each-night already" in again.stderr) == (2, True)
    assert "for the test" in here.run("schedule", "show", "each-night")
    job = here.json("schedule", "run", "each-night")["job_id"]
    assert here.json("job", job)["flow"] == "noop"
    assert "paused" in here.run("schedule", "pause", "each-night", "--reason", "holidays")
    assert here.json("schedule", "show", "each-night")["pause_reason"] == "holidays"
    assert "goes on, next" in here.run("schedule", "resume", "each-night")
    names = {one["name"]: one for one in here.lines("schedule", "list")}
    assert {"each-night", "clean-up", "stale-jobs", "health", "memory", "digest"} <= names.keys()
    assert names["stale-jobs"]["every_s"] == 900
    assert "every 15 m" in here.run("schedule", "list")
    assert "is gone" in here.run("schedule", "remove", "each-night")
    assert here.done("schedule", "show", "each-night").returncode == 1
    built_in = here.done("schedule", "remove", "health")
    assert (built_in.returncode, "pause it instead" in built_in.stderr) == (2, True)
    for wrong in (["--every", "2 fortnights"], ["--cron", "61 * * * *"], [], ["--every", "1h", "--spec", '{"a": 1}']):
        assert here.done("schedule", "add", "wrong", "noop", *wrong).returncode == 2, wrong


def test_maintenance_stays_out_of_the_list_of_jobs(here: Home) -> None:
    job = here.json("schedule", "run", "stale-jobs")["job_id"]
    assert here.json("job", job)["flow"] == "maintenance"
    assert job not in {one["job_id"] for one in here.lines("jobs")}
    assert job in {one["job_id"] for one in here.lines("jobs", "--flow", "maintenance")}
    report = here.json("submit", "maintenance", "clean_up", "--dry-run", "--wait")
    assert report["status"] == "succeeded"


def test_limits_by_hand(here: Home) -> None:
    assert re.search(r"^maintenance +1 at once", here.run("limits", "list"), re.MULTILINE)
    assert "is 3 at once now (declared: 1 at once)" in here.run("limits", "set", "maintenance", "3")
    (shown,) = [one for one in here.lines("limits", "list") if one["name"] == "maintenance"]
    assert (shown["count"], shown["declared"]) == (3, {"count": 1})
    assert here.done("limits", "set", "maintenance", "3", "--per", "60").returncode == 2
    assert "is as declared again" in here.run("limits", "clear", "maintenance")
    unknown = here.done("limits", "set", "nothing", "3")
    assert (unknown.returncode, "there is no limit 'nothing'" in unknown.stderr) == (1, True)
    assert "10 in 60 s" in here.run("limits", "list")


def test_suppressed_addresses_by_hand(here: Home) -> None:
    assert "No address is suppressed." in here.run("suppressions", "list")
    assert "gets no mail from now on" in here.run("suppressions", "add", "ann@example.com", "--reason", "asked")
    assert here.done("suppressions", "add", "nobody").returncode == 2
    (row,) = here.lines("suppressions", "list")
    assert (row["address"], row["reason"]) == ("ann@example.com", "asked")
    assert here.json("suppressions", "remove", "ann@example.com")["removed"]
    assert here.done("suppressions", "remove", "ann@example.com").returncode == 1
