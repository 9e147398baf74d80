"""Commands about jobs that were submitted."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from api.cli.root import run
from api.cli.screen import (
    Json,
    console,
    first_line,
    instant_text,
    memo_text,
    next_step,
    path_text,
    print_json,
    print_table,
    say,
    status_text,
    took_text,
)
from streams.errors import MillraceError

if TYPE_CHECKING:
    from api.services import Services

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.", show_default=False)]

FOLLOW_EVERY_S = 0.3
LAST_LINES_S = 1.5
"""How long lines of a job may still come after its end."""


def jobs(
    *,
    flow: Annotated[str | None, typer.Option(help="Only of this flow.")] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most jobs.")] = 20,
    as_json: Json = False,
) -> None:
    """List the newest jobs."""
    from api.cli.lookup import TENANT, here
    from api.job_list import page_of_jobs

    async def ask() -> list[Any]:
        async with here() as services:
            page = await page_of_jobs(services, TENANT, flow=flow, status=status, cursor=None, limit=limit)
            return list(page.items)

    found = run(ask())
    if as_json:
        for view in found:
            print_json(view.model_dump(mode="json"))
    elif not found:
        say("No jobs." if flow or status else "No jobs yet.")
        next_step(("submit --help", "lists the flows"))
    else:
        print_table(
            ("job", "flow", "status", "created", "took", "error"),
            [
                (view.job_id, view.flow, status_text(view.status), instant_text(view.created_at),
                 took_text(view.started_at, view.finished_at), first_line(view.error, 60))
                for view in found
            ],
        )  # fmt: skip
        next_step((f"job {found[0].job_id}", "shows one"))


def job(job_id: JobArgument, *, as_json: Json = False) -> None:
    """Show a job."""
    from api.cli.lookup import here

    async def show() -> None:
        async with here() as services:
            await _show_job(services, job_id, as_json=as_json)

    run(show())


async def _show_job(services: "Services", job_id: str, *, as_json: bool) -> None:
    from api.cli.lookup import job_of, print_failures
    from api.cli.progress import stages_table

    view = (await job_of(services, job_id)).view
    if as_json:
        print_json(view.model_dump(mode="json"))
        return
    console().print(f"[bold]{view.flow}[/] {view.job_id}", soft_wrap=True)
    if view.stages:
        console().print(stages_table(view))
    else:
        console().print(status_text(view.status))
    facts = (
        ("created", instant_text(view.created_at)), ("started", instant_text(view.started_at)),
        ("finished", instant_text(view.finished_at)), ("not before", instant_text(view.run_at)),
        ("expires", instant_text(view.expires_at)), ("revision", view.revision if view.revision > 1 else None),
        ("priority", view.priority if view.priority != "normal" else None), ("missing", view.missing or None),
        ("error", view.error), ("follows", view.parent), ("repeats", view.origin), ("replay", view.replay),
        ("then", view.then), ("had from memo", await _memo(services, job_id)), ("trace", view.trace_id),
    )  # fmt: skip
    print_table(("", ""), [(name, value) for name, value in facts if value])
    await print_failures(services, job_id)
    _after(view)


async def _memo(services: "Services", job_id: str) -> str | None:
    from api.cli.lookup import TENANT

    return memo_text(await services.database.memos.of_job(job_id, tenant=TENANT)) if services.database else None


def result(
    job_id: JobArgument,
    *,
    revision: Annotated[int | None, typer.Option(min=1, help="Of this revision instead of the latest.")] = None,
    save: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Write it there as files: JSON, and XLSX, CSV and Parquet for filings."),
    ] = None,
    form: Annotated[
        Literal["json", "csv", "xlsx", "parquet"] | None,
        typer.Option("--format", help="As this file on standard output, or in the folder of --save."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a job made."""
    from api.cli.lookup import TENANT, here, job_of, need_store
    from api.cli.results import print_result, save_result, write_result
    from api.results import latest_payload

    async def ask() -> tuple[Any, Any]:
        async with here() as services:
            job = await job_of(services, job_id)
            need_store(services)
            kept = await services.store.results.get(job_id, tenant=TENANT, revision=revision)
            if kept is None and revision is None and job.view.status in {"succeeded", "partial"}:
                return job.view, await latest_payload(services, job)
            return job.view, kept.payload if kept is not None else None

    view, payload = run(ask())
    if payload is None:
        hint = (
            f"it is {view.status}"
            if view.status not in {"succeeded", "partial"}
            else "its flow makes none, or it expired"
        )
        raise MillraceError(f"job {job_id} has no result: {hint}")
    if form is not None and save is None:
        write_result(view.flow, payload, form)
        return
    if save is not None:
        for path in save_result(view.flow, payload, save, job_id, form):
            say(f"wrote {path_text(path)}")
    if as_json:
        print_json(payload)
    elif save is None:
        print_result(view.flow, payload)
        next_step((f"result {job_id} --save DIR", "writes it as files"), (f"trace {job_id}", "shows how it was made"))


def logs(
    job_id: JobArgument,
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Show a job's own log."""
    from api.cli.lookup import TENANT, here, job_of, need_store

    async def show() -> int:
        seen, shown = 0, 0
        ended_s: float | None = None
        clock = asyncio.get_running_loop().time
        async with here() as services:
            await job_of(services, job_id)
            need_store(services)
            while True:
                lines = await services.store.logs.read(job_id, tenant=TENANT, after=seen)
                for line in lines:
                    seen, shown = line.seq, shown + 1
                    _print_line(line, as_json=as_json)
                if lines:
                    continue
                if not follow or (ended_s is not None and clock() - ended_s > LAST_LINES_S):
                    return shown
                if ended_s is None and (await job_of(services, job_id)).has_ended:
                    ended_s = clock()
                await asyncio.sleep(FOLLOW_EVERY_S)

    if run(show()) == 0 and not as_json:
        say("The job has logged nothing." if follow else "Nothing is logged yet.")
    if not as_json:
        next_step((f"job {job_id}", "shows the job"))


def trace(
    job_id: JobArgument,
    *,
    otlp: Annotated[bool, typer.Option("--otlp", help="Print OTLP JSON, for a trace backend.")] = False,
    as_json: Json = False,
) -> None:
    """Show when each of a job's tasks waited and ran, as a waterfall; from the log, so without any trace backend."""
    import time
    from dataclasses import asdict

    from api.cli.lookup import entries_of_job, here
    from api.otlp import otlp_of
    from api.waterfall import trace_of, waterfall

    async def ask() -> Any:
        async with here() as services:
            return trace_of(await entries_of_job(services, job_id))

    found = run(ask())
    if otlp:
        print_json(otlp_of(found, int(time.time() * 1_000)))
    elif as_json:
        print_json(asdict(found))
    else:
        console().print(waterfall(found))
        next_step((f"logs {job_id}", "shows what it logged"), (f"trace {job_id} --otlp", "is for a trace backend"))


def cancel(
    job_id: JobArgument,
    *,
    force: Annotated[bool, typer.Option(help="Kill what runs, without a chance to clean up.")] = False,
    as_json: Json = False,
) -> None:
    """End a job: what waits is dropped, what runs is told to stop."""
    from api.audit import cli_actor, record
    from api.cli.lookup import here, job_of
    from api.views import live_view

    async def act() -> Any:
        async with here() as services:
            await job_of(services, job_id)
            view = live_view(await services.log.cancel(job_id, kill=force))
            await record(services, cli_actor(), "job.cancel", job_id, {"force": force})
            return view

    view = run(act())
    if as_json:
        print_json(view.model_dump(mode="json"))
    else:
        say(f"Job {job_id} is {view.status}.")
        next_step((f"trace {job_id}", "shows how far it came"))


def retry(job_id: JobArgument, *, as_json: Json = False) -> None:
    """Put all dead letters of a job back to work."""
    from api.audit import cli_actor, record
    from api.cli.lookup import here, job_of

    async def act() -> int:
        async with here() as services:
            await job_of(services, job_id)
            redriven = await services.log.retry(job_id)
            await record(services, cli_actor(), "job.retry", job_id, {"redriven": redriven})
            return redriven

    count = run(act())
    if as_json:
        print_json({"job_id": job_id, "redriven": count})
    else:
        say(f"{count} dead letter{'s' if count != 1 else ''} of job {job_id} run again.")
        next_step((f"job {job_id}", "shows how it goes"))


def _print_line(line: Any, *, as_json: bool) -> None:
    if as_json:
        names = ("seq", "at", "level", "message", "fields", "task", "stage", "attempt", "trace_id")
        print_json({name: getattr(line, name) for name in names})
        return
    from rich.text import Text

    colour = {"warning": "yellow", "error": "red", "debug": "bright_black"}.get(line.level, "")
    fields = " ".join(f"{name}={value}" for name, value in (line.fields or {}).items())
    place = f"{line.stage} #{line.task}" if line.stage else ""
    text = Text.assemble(
        (line.at.astimezone().strftime("%H:%M:%S.%f")[:-3], "bright_black"), " ", (f"{line.level:<7}", colour), " ",
        (f"{place:<14}", "bright_black"), " ", line.message, " ", (fields, "bright_black"),
    )  # fmt: skip
    console().print(text, soft_wrap=True)


def _after(view: Any) -> None:
    hints = []
    if view.status in {"succeeded", "partial"}:
        hints.append((f"result {view.job_id}", "shows what it made"))
    if view.status in {"queued", "running", "retrying"}:
        hints += [(f"logs {view.job_id} -f", "follows it"), (f"cancel {view.job_id}", "ends it")]
    elif view.status in {"partial", "failed"}:
        hints.append((f"retry {view.job_id}", "tries again what failed"))
    next_step(*hints, (f"trace {view.job_id}", "shows when what ran"))


__all__ = ["cancel", "job", "jobs", "logs", "result", "retry", "trace"]
