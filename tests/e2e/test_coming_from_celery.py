"""Every line of docs/coming-from-celery.md, run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from api.views import OLD_STATUS
from streams.policy import StagePolicy
from tests.support.commands import Home, Running
from tests.support.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = (REPOSITORY / "docs" / "coming-from-celery.md").read_text(encoding="utf-8")
BLOCKED = "http://127.0.0.1:1/"


def rows(title: str) -> list[list[str]]:
    """The cells of a section's tables."""
    section = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)
    (text,) = [one for one in section if one.startswith(f"{title}\n")]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


COMMANDS = [row[1].strip("`") for row in rows("Commands")]
STAYS = [one for one in COMMANDS if re.match(r"(make worker|\./millrace worker( |$))", one)]
HTTP = [one for one in COMMANDS if one.startswith("GET")] + [row[1].strip("`") for row in rows("Clients")]
ENDS = [one for one in COMMANDS if one not in STAYS and not one.startswith("GET")]


@pytest.fixture
def jobs(running: tuple[Home, Running]) -> Callable[[str], str]:
    """Fills in ids of jobs that are as a line wants them."""
    home, _ = running

    def filled(line: str) -> str:
        if "JOB" in line:
            line = line.replace("JOB", home.json("submit", "noop", "--wait")["job_id"])
        if "LATER" in line:
            line = line.replace("LATER", home.json("submit", "noop", "--run-at", "2090-01-01T00:00:00Z")["job_id"])
        if "FAILED" in line:
            line = line.replace("FAILED", home.json("submit", "filings", BLOCKED, "--wait", code=1)["job_id"])
        return line

    return filled


def test_every_line_is_of_a_kind_that_is_run() -> None:
    assert len(COMMANDS) == len(STAYS) + len(ENDS) + sum(one.startswith("GET") for one in COMMANDS)
    assert all(one.startswith(("./millrace ", "make ")) for one in (*STAYS, *ENDS))


@pytest.mark.parametrize("line", ENDS)
def test_a_command(running: tuple[Home, Running], jobs: Callable[[str], str], line: str) -> None:
    home, up = running
    line = jobs(line)
    if line.startswith("make "):
        url = up.ready["dashboard"].rstrip("/")
        command = [*line.split(), f"ARGS=--url {url}"]
        done = subprocess.run(command, cwd=REPOSITORY, env=home.env, capture_output=True, text=True, check=False)
        assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stdout + done.stderr
        return
    done = home.done(*line.removeprefix("./millrace ").split())
    said = done.stdout + done.stderr
    if "--force" in line:
        assert "over already" in said  # there is nothing left of it to kill
    elif " result " in line:
        assert "its flow makes none" in said
    else:
        assert done.returncode == 0, said


@pytest.mark.slow
def test_the_commands_that_stay(running: tuple[Home, Running]) -> None:
    home, _ = running
    with contextlib.ExitStack() as stack:  # all at once: most of it is waiting for processes to start and end
        make = [shutil.which("make") or "make", "--no-print-directory", "worker", "ARGS=--json"]
        options: dict[str, Any] = {"cwd": REPOSITORY, "env": home.env, "stdout": subprocess.PIPE, "text": True}
        made = stack.enter_context(subprocess.Popen(make, process_group=0, **options))
        lines = [line.removeprefix("./millrace ").split() for line in STAYS if line != "make worker"]
        workers = [stack.enter_context(Running(home, *line)) for line in lines]
        assert {worker.ready["event"] for worker in workers} == {"ready"}
        assert made.stdout is not None
        said = [made.stdout.readline()]
        os.killpg(made.pid, signal.SIGTERM)
        for worker in workers:
            worker.process.terminate()
        assert [worker.process.wait(60) for worker in workers] == [0] * len(workers)
        said += made.stdout.readlines()
        assert [json.loads(one)["event"] for one in said] == ["ready", "stopped"]


@pytest.mark.parametrize("line", HTTP)
def test_a_request(running: tuple[Home, Running], jobs: Callable[[str], str], line: str) -> None:
    method, path = jobs(line).split()
    body = b'{"flow": "noop", "spec": {}}' if path.endswith("/jobs") else b"" if method == "POST" else None
    url = running[1].ready["dashboard"].rstrip("/") + path
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": "application/json"})  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own
            assert answer.status in {200, 202}
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from error


def test_the_python_that_is_shown(running: tuple[Home, Running]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(block, {"URL": running[1].ready["dashboard"]})  # noqa: S102 - it is our own document
    assert said.getvalue() == "succeeded\n"


def test_the_states_are_those_of_the_old_view() -> None:
    told = {
        status: old for old_cell, new_cell in rows("States") for old in code(old_cell) for status in code(new_cell)
        if status != "missing" and old != "PROGRESS"
    }  # fmt: skip
    assert told == dict(OLD_STATUS)


def test_the_settings_exist() -> None:
    named = {name for _, cell in rows("Settings") for name in code(cell)}
    fields = set(StagePolicy.__dataclass_fields__)
    policy = {name for name in named if re.fullmatch(r"[a-z_]+", name)} - {"result_ttl_s", "then"}
    assert policy <= fields
