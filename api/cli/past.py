"""``job ID --at TIME``: a job as it was."""

from __future__ import annotations

from typing import Any

from api.cli.lookup import here, job_of
from api.cli.screen import console, duration_text, instant_text, next_step, print_json, print_table, say, status_text
from api.past import past_job, past_job_view
from api.problems import Problem
from streams.errors import MillraceError

MOST = 20


async def show_past(job_id: str, at_ms: int, *, as_json: bool) -> None:
    """Print what a job was at an instant.

    Raises:
        MillraceError: It was not there.
    """
    async with here() as services:
        found = await job_of(services, job_id)
        try:
            past = await past_job(services, found, at_ms)
        except Problem as problem:
            raise MillraceError(str(problem)) from None
        view = past_job_view(found, past)
    if as_json:
        print_json(view)
        return
    console().print(f"[bold]{view['flow']}[/] {job_id} at {instant_text(view['at'])}", soft_wrap=True)
    console().print(status_text(view["status"]))
    print_table(
        ("stage", "open", "done", "failed", "runs", "busy"),
        [
            (name, one["open"], one["done"], one["failed"], one["runs"], duration_text(one["busy_s"]))
            for name, one in view["stages"].items()
        ],
        right=("open", "done", "failed", "runs", "busy"),
    )
    _print_tasks(view)
    facts = (
        ("revision", view["revision"] if view["revision"] > 1 else None),
        ("error", view["error"]),
        ("started", instant_text(view["started_at"])),
        ("finished", instant_text(view["finished_at"])),
    )
    print_table(("", ""), [(name, value) for name, value in facts if value])
    next_step((f"job {job_id}", "shows it as it is"), (f"trace {job_id}", "shows when what ran"))


def _print_tasks(view: dict[str, Any]) -> None:
    tasks = view["open_tasks"]
    if not tasks:
        return
    print_table(
        ("task", "stage", "state", "since", "attempt", "worker"),
        [
            (f"#{one['task']}", one["stage"], one["state"], instant_text(one["since"]), one["attempt"], one["worker"])
            for one in tasks[:MOST]
        ],
    )
    left = len(tasks) - MOST + view["open_left_out"]
    if left > 0:
        say(f"… and {left} more open tasks: --json shows them")
