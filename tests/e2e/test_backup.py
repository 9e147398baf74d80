"""The restore drill: what was backed up while everything ran is all there after the loss of everything."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import Home, Running
from tests.support.servers import temporary_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCKED = "http://127.0.0.1:1/"


@pytest.fixture
def elsewhere() -> Iterator[Home]:
    """Another, empty home."""
    with temporary_home() as folder:
        yield Home(folder)


def test_a_restore_loses_nothing_that_was_backed_up(home: Home, elsewhere: Home, tmp_path: Path) -> None:
    with Running(home, "up", "--port", "0", "--processes", "1"):
        done = home.json("submit", "noop", "--fan-out", "3", "--wait")["job_id"]
        failed = home.json("submit", "filings", BLOCKED, "--wait", code=1)["job_id"]
        later = home.json("submit", "noop", "--run-at", "2090-01-01T00:00:00Z")["job_id"]
        key = home.json("keys", "create", "me", "--scope", "read")["id"]
        home.run("keys", "revoke", key)
        kept = home.folder / "artifacts" / "tenants" / "default" / "ab" / ("ab" * 32)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(b"bytes")
        running = [home.json("submit", "noop", "--fan-out", "20")["job_id"] for _ in range(10)]
        made = home.json("backup", str(tmp_path))
        assert made["artifacts"] >= 1
        before = {job["job_id"]: job["status"] for job in home.lines("jobs", "--limit", "100")}
        letters = [one["id"] for one in home.lines("dlq", "list")]
        assert "restore" in home.run("backup", str(tmp_path))
    for name in ("valkey", "postgres", "artifacts"):
        shutil.rmtree((home.folder / name).resolve())

    assert elsewhere.json("restore", str(tmp_path), "--from", made["name"])["name"] == made["name"]
    refused = elsewhere.done("restore", str(tmp_path))
    assert (refused.returncode, "has data" in refused.stderr) == (1, True)
    with Running(elsewhere, "up", "--port", "0", "--processes", "1"):
        for job in running:
            elsewhere.run("job", job)
            assert (
                elsewhere.json("submit", "noop", "--job-id", job.partition("-")[2], "--fan-out", "20")["job_id"] == job
            )
        after = {job["job_id"]: job["status"] for job in elsewhere.lines("jobs", "--limit", "100")}
        assert set(after) == set(before)
        assert (after[done], after[failed], after[later]) == ("succeeded", "failed", "queued")
        assert [one["id"] for one in elsewhere.lines("dlq", "list")] == letters
        assert len(elsewhere.json("trace", done)["spans"]) >= 12
        assert elsewhere.json("retry", failed) == {"job_id": failed, "redriven": 1}
        moved = elsewhere.folder / kept.relative_to(home.folder)
        assert moved.read_bytes() == b"bytes"
        assert [one for one in elsewhere.lines("doctor") if one["state"] == "bad"] == []


def test_where_there_is_no_backup_it_says_so(home: Home, tmp_path: Path) -> None:
    refused = home.done("restore", str(tmp_path))
    assert (refused.returncode, "has no backup at all" in refused.stderr) == (1, True)
