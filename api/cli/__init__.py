"""The command line: ``millrace``.

A command imports what it needs when it runs, so that help and completion answer at once.
"""

from typing import Annotated, Final

import typer

from api.cli import (
    audits,
    backup,
    bench,
    bundles,
    care,
    chaos,
    companies,
    demo,
    documents,
    evaluations,
    figures,
    health,
    incidents,
    jobs,
    leads,
    letters,
    limits,
    mend,
    operate,
    processes,
    replays,
    schedules,
    stop,
    suppressions,
    task,
)
from api.cli.flow_commands import RunGroup, SubmitGroup
from api.cli.root import Root
from api.cli.screen import say
from api.cli.setup import setup

START: Final = "Start here"
JOBS: Final = "Jobs"
OPERATION: Final = "Operation"
FLOWS: Final = "What jobs work on"

app = typer.Typer(
    name="millrace",
    cls=Root,
    help="Crawl, classify, download, extract, compile, notify: six stages on a durable log.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Settings are MILLRACE_* variables; without any, the servers are embedded, with their data in .millrace/.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        from importlib.metadata import version

        say(f"millrace {version('millrace')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Crawl, classify, download, extract, compile, notify: six stages on a durable log."""


app.command(rich_help_panel=START)(demo.demo)
app.command(rich_help_panel=START)(processes.up)

app.add_typer(
    typer.Typer(cls=SubmitGroup, no_args_is_help=True), name="submit", rich_help_panel=JOBS, short_help="Submit a job.",
    help="Submit a job. [bold]submit FLOW --help[/] shows what the flow needs.", subcommand_metavar="FLOW [ARGS]...",
)  # fmt: skip
app.add_typer(
    typer.Typer(cls=RunGroup, no_args_is_help=True), name="run", rich_help_panel=JOBS,
    short_help="Run a job in this process, without servers (--inline).", subcommand_metavar="FLOW [ARGS]...",
    help="Run a job in this process, without servers: the same handlers, and their exceptions come through.",
)  # fmt: skip
for about_jobs in (jobs.jobs, jobs.result, jobs.logs, jobs.trace, jobs.cancel, jobs.retry, task.task):
    app.command(rich_help_panel=JOBS)(about_jobs)
bundles.job.command("show")(jobs.job)
app.add_typer(bundles.job, name="job", rich_help_panel=JOBS)

workers = typer.Typer(invoke_without_command=True)
workers.callback()(processes.worker)
workers.command()(stop.drain)
app.add_typer(workers, name="worker", rich_help_panel=OPERATION)
live = typer.Typer(invoke_without_command=True)
live.callback()(processes.analytics)
live.command("show")(figures.show)
app.add_typer(live, name="analytics", rich_help_panel=OPERATION)
app.add_typer(figures.alerts, name="alerts", rich_help_panel=OPERATION)
app.command(rich_help_panel=FLOWS)(documents.search)
app.command(rich_help_panel=FLOWS)(documents.answer)
app.add_typer(documents.collections, name="collections", rich_help_panel=FLOWS)
app.add_typer(leads.leads, name="leads", rich_help_panel=FLOWS)

for operation in (
    processes.api, operate.workers, operate.streams, operate.stages, stop.pause, stop.resume, stop.purge,
    stop.audit_log, care.doctor, care.migrate, backup.backup, backup.restore, bench.bench, chaos.chaos,
):  # fmt: skip
    app.command(rich_help_panel=OPERATION)(operation)
app.add_typer(health.health, name="health", rich_help_panel=OPERATION)
for about_files in (audits.audit_page, audits.robots_check):
    app.command(rich_help_panel=OPERATION)(about_files)
app.add_typer(evaluations.evaluations, name="eval", rich_help_panel=OPERATION)
for mended in (incidents.dlq_incidents, mend.dlq_retry, mend.dlq_edit, mend.dlq_drop):
    letters.dlq.command(mended.__name__.removeprefix("dlq_"))(mended)
app.add_typer(letters.dlq, name="dlq", rich_help_panel=OPERATION)
app.add_typer(limits.limits, name="limits", rich_help_panel=OPERATION)
app.add_typer(replays.replay, name="replay", rich_help_panel=OPERATION)
app.add_typer(schedules.schedule, name="schedule", rich_help_panel=OPERATION)
app.add_typer(suppressions.suppressions, name="suppressions", rich_help_panel=OPERATION)
app.add_typer(operate.keys, name="keys", rich_help_panel=OPERATION)
app.add_typer(companies.companies, name="companies", rich_help_panel=FLOWS)
app.add_typer(setup, name="setup", rich_help_panel=OPERATION)


def main() -> None:
    """The console script."""
    app()


__all__ = ["app", "main"]
