"""``job export`` and ``job import``: a job in one file, and its tasks run again here."""

import pdb  # noqa: T100 - what --pdb opens
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from api.cli.root import Usage, run
from api.cli.screen import Json, first_line, next_step, path_text, print_json, print_table, say

if TYPE_CHECKING:
    from consumers.bundle import Bundle, Tried

MB = 2**20


class JobGroup(TyperGroup):
    """``job ID`` shows a job; ``job export`` and ``job import`` are beside it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is not the name of a command is the job to show."""
        if args and args[0] not in self.commands and args[0] not in {"--help", "-h"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


job = typer.Typer(cls=JobGroup, no_args_is_help=True, help="Show a job; export it to a file, import it elsewhere.")


@job.command("export")
def job_export(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.", show_default=False)],
    *,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it.", show_default="JOB.zip")] = None,
    task: Annotated[int | None, typer.Option(min=1, help="Only this task: a dead letter as a test fixture.")] = None,
    max_mb: Annotated[int, typer.Option(min=0, max=1_024, help="Most MiB of files; those of failures first.")] = 200,
    as_json: Json = False,
) -> None:
    """Write what is known of a job to a file: entries, files, log, versions; secrets are masked."""
    from api.cli.lookup import TENANT, here, job_of
    from consumers.bundle import write_bundle
    from consumers.bundle.export import Sources, bundle_of
    from consumers.replays.gather import Chosen

    async def gather() -> "Bundle":
        async with here() as services:
            view = (await job_of(services, job_id)).view
            began_ms = int(view.created_at.timestamp() * 1_000) if view.created_at else 0
            ended_ms = int(view.finished_at.timestamp() * 1_000) if view.finished_at else 2**53
            chosen = Chosen(job_id, view.flow, TENANT, view.status, began_ms, ended_ms)
            sources = Sources(services.log, services.blobs, services.database, services.flows)
            return await bundle_of(sources, chosen, max_bytes=max_mb * MB, only=task)

    bundle = run(gather())
    path = to or Path(f"{job_id}.zip")
    size_bytes = write_bundle(bundle, path)
    if as_json:
        print_json({"file": str(path), "size_bytes": size_bytes, **_told(bundle)})
        return
    say(f"wrote {path_text(path)}: {len(bundle.tasks)} tasks, {len(bundle.bytes_of)} files, {size_bytes:,} bytes")
    if bundle.facts.left_out:
        say(f"left out: {len(bundle.facts.left_out)} files that are gone or beyond --max-mb", "yellow")
    next_step((f"job import {path} --pdb", "runs what failed here, and opens the debugger where it raises"))


@job.command("import")
def job_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle from `job export`.", show_default=False)],
    *,
    task: Annotated[int | None, typer.Option(min=1, help="Run this task; the ones that failed when left out.")] = None,
    debug: Annotated[bool, typer.Option("--pdb", help="Open the debugger where a handler raises.")] = False,
    as_json: Json = False,
) -> None:
    """Run the failed tasks of a bundle in this process, with the code as it is here; no server is needed."""
    from consumers.bundle import read_bundle, try_task
    from consumers.flow import installed
    from schemas.settings import load_settings

    bundle = read_bundle(file)
    flow = installed().get(bundle.facts.flow)
    numbers = [task] if task is not None else [one.number for one in bundle.dead]
    if not numbers:
        _list(bundle, as_json=as_json)
        return
    settings = load_settings()
    has_failed = False
    for number in numbers:
        if not as_json:
            one = bundle.task(number)
            say(f"{one.stage} #{number}" + (f", which failed with {one.reason}" if one.reason else ""), "bold")
        tried = run(try_task(bundle, number, flow, settings=settings))
        has_failed = has_failed or tried.error is not None
        _tell(bundle, number, tried, as_json=as_json)
        if debug and tried.error is not None:
            pdb.post_mortem(tried.error.__traceback__)
    if not as_json:
        next_step((f"job import {file} --pdb", "opens the debugger where a handler raises"))
    if has_failed:
        raise typer.Exit(1)


def _told(bundle: "Bundle") -> dict[str, Any]:
    facts = bundle.facts
    return {
        **facts.model_dump(mode="json"), "tasks": len(bundle.tasks), "failed": [one.number for one in bundle.dead],
        "files": len(bundle.bytes_of),
    }  # fmt: skip


def _list(bundle: "Bundle", *, as_json: bool) -> None:
    if as_json:
        print_json(_told(bundle))
        return
    say(f"No task of {bundle.facts.flow} job {bundle.facts.job_id} failed; name one to run it.")
    print_table(("task", "stage", "state"), [(one.number, one.stage, one.state) for one in bundle.tasks[:50]])
    if not bundle.tasks:
        raise Usage("the bundle has no tasks")
    next_step((f"job import FILE --task {bundle.tasks[0].number}", "runs one"))


def _tell(bundle: "Bundle", number: int, tried: "Tried", *, as_json: bool) -> None:
    kind = type(tried.outcome).__name__.lower() if tried.outcome is not None else "raised"
    if as_json:
        said = f"{type(tried.error).__name__}: {tried.error}" if tried.error else None
        print_json(
            {
                "task": number,
                "stage": bundle.task(number).stage,
                "outcome": kind,
                "error": said,
                "emitted": len(tried.emitted) + len(getattr(tried.outcome, "emits", ())),
                "collected": len(tried.collected),
            }
        )
        return
    if tried.error is not None:
        say("".join(traceback.format_exception(tried.error)).rstrip(), "red")
        return
    say(f"  {kind}: {first_line(str(tried.outcome), 400)}", "green")
