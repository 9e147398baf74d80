"""A job while it runs: stages as bars at a terminal, a line a change elsewhere, JSON lines for programs."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from api.cli.lookup import job_of
from api.cli.screen import console, first_line, print_json, say, status_text, took_text
from api.services import Services
from api.views import is_over
from schemas.jobs import ENDED, JobView
from schemas.names import STAGES

POLL_S: Final = 0.1
UNFINISHED_NOTICES_S: Final = 5.0
"""How long to wait, after the job's end, for its notifications."""
BAR_COLUMNS: Final = 24
LINE_EVERY_S: Final = 1.0

Show = Callable[[JobView], None]


async def wait_for(services: Services, job_id: str, show: Show) -> JobView:
    """Show a job until it has ended and told so.

    Raises:
        MillraceError: There is no such job.
    """
    clock = asyncio.get_running_loop().time
    ended_s: float | None = None
    while True:
        found = await job_of(services, job_id)
        view = found.view
        show(view)
        if found.has_ended:
            ended_s = ended_s if ended_s is not None else clock()
            if found.record is None or is_over(found.record) or clock() - ended_s > UNFINISHED_NOTICES_S:
                return view
        await asyncio.sleep(POLL_S)


@contextlib.contextmanager
def shown(*, as_json: bool = False) -> Iterator[Show]:
    """How progress is shown here."""
    if as_json:
        yield lambda _: None
    elif console().is_terminal:
        spinner = Spinner("dots", style="cyan")
        with Live(console=console(), refresh_per_second=12, transient=False) as screen:
            yield lambda view: screen.update(stages_table(view, spinner))
    else:
        yield _Lines().show


def stages_table(view: JobView, spinner: Spinner | None = None) -> RenderableType:
    """A bar a stage, and what is being done."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=10)
    table.add_column(width=BAR_COLUMNS)
    table.add_column(justify="right", width=9)
    table.add_column()
    for stage in STAGES:
        counts = view.stages.get(stage)
        done, failed, left = (counts.done, counts.failed, counts.open) if counts else (0, 0, 0)
        total = done + failed + left
        colour = "red" if failed and not left else "cyan" if left else "green"
        bar = ProgressBar(
            total=total or 1, completed=done + failed, width=BAR_COLUMNS, complete_style=colour, finished_style=colour
        )
        told = Text(f"{failed} failed", "red") if failed else Text("")
        table.add_row(
            Text(stage, "" if total else "bright_black"),
            bar,
            f"{done + failed}/{total}" if total else Text("-", "bright_black"),
            told,
        )
    is_over = view.status in ENDED
    step = "" if is_over else first_line(view.progress.step, 70)
    heading: Any = Text.assemble(
        status_text(view.status), f"  {took_text(view.started_at, view.finished_at)}  ", (step, "bright_black")
    )
    if spinner is not None and not is_over:
        spinner.update(text=heading)
        heading = spinner
    return Group(table, heading)


class _Lines:
    """Says how far it is, at most once a second, and at the end."""

    def __init__(self) -> None:
        self._said = ""
        self._said_s = 0.0

    def show(self, view: JobView) -> None:
        """Say it when it is time and something changed."""
        is_over = view.status in ENDED
        counts = [(stage, view.stages[stage]) for stage in STAGES if stage in view.stages and stage != "notify"]
        line = " · ".join(
            f"{stage} {one.done + one.failed}/{one.done + one.failed + one.open}" for stage, one in counts
        )
        line = f"  {view.status}" + (f": {line}" if line else "")
        now_s = time.monotonic()
        if line != self._said and (is_over or now_s - self._said_s >= LINE_EVERY_S):
            self._said, self._said_s = line, now_s
            say(line)


def print_ended(view: JobView, *, as_json: bool) -> int:
    """Say how a job ended; answers the exit code."""
    if as_json:
        print_json(view.model_dump(mode="json"))
    elif view.status == "partial":
        say(f"Finished, but {view.missing} thing{'s' if view.missing != 1 else ''} could not be had.", "yellow")
    elif view.status != "succeeded":
        say(f"The job is {view.status}" + (f": {view.error}" if view.error else "."), "red")
    return 0 if view.status in {"succeeded", "partial"} else 1


@contextlib.contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error for work on many things, where a terminal shows it; call with how many are done."""
    if not console(stderr=True).is_terminal:
        yield lambda _: None
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console(stderr=True), transient=True,
    ) as bars:  # fmt: skip
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done)
