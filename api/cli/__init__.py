"""The command line: ``millrace``.

A command imports what it needs when it runs, so that help and completion answer at once.
"""

from typing import Annotated, Final

import typer

from api.cli import audits, care, demo, evaluations, jobs, limits, operate, processes
from api.cli.flow_commands import RunGroup, SubmitGroup
from api.cli.root import Root
from api.cli.screen import say
from api.cli.setup import setup

START: Final = "Start here"
JOBS: Final = "Jobs"
OPERATION: Final = "Operation"

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


@app.callback()
def root(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False
) -> None:
    """Crawl, classify, download, extract, compile, notify: six stages on a durable log."""
    if version:
        from importlib.metadata import version as version_of

        say(f"millrace {version_of('millrace')}")
        raise typer.Exit


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
for about_jobs in (jobs.jobs, jobs.job, jobs.result, jobs.logs, jobs.trace, jobs.cancel, jobs.retry):
    app.command(rich_help_panel=JOBS)(about_jobs)

for operation in (
    processes.worker, processes.api, operate.workers, operate.streams, operate.stages, care.doctor, care.migrate,
    care.bench,
):  # fmt: skip
    app.command(rich_help_panel=OPERATION)(operation)
for about_files in (audits.audit_page, audits.robots_check):
    app.command(rich_help_panel=OPERATION)(about_files)
app.add_typer(evaluations.evaluations, name="eval", rich_help_panel=OPERATION)
app.add_typer(operate.dlq, name="dlq", rich_help_panel=OPERATION)
app.add_typer(limits.limits, name="limits", rich_help_panel=OPERATION)
app.add_typer(operate.keys, name="keys", rich_help_panel=OPERATION)
app.add_typer(setup, name="setup", rich_help_panel=OPERATION)


def main() -> None:
    """The console script."""
    app()


__all__ = ["app", "main"]
