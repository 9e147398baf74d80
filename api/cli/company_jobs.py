"""``millrace companies extract``, ``scrape``, ``recompile`` and ``watch``: a company's jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from api.services import Services

from api.cli.company_ask import CompanyArgument, ask
from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, print_json, say

Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end, and show how it goes.")]

commands = typer.Typer()


@commands.command("extract")
def extract_company(
    company_id: CompanyArgument,
    *,
    years: Annotated[int | None, typer.Option(help="The latest so many fiscal years.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Document types to read.")] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Read a company's site, its reports, and compile its statements."""
    _work(company_id, {"years": years, "document_types": types or None}, "extract", wait=wait, as_json=as_json)


@commands.command("scrape")
def scrape_company(company_id: CompanyArgument, *, wait: Wait = False, as_json: Json = False) -> None:
    """Look for a company's documents, and download none."""
    _work(company_id, {}, "scrape", wait=wait, as_json=as_json)


@commands.command("recompile")
def recompile_company(company_id: CompanyArgument, *, wait: Wait = False, as_json: Json = False) -> None:
    """Compile a company's statements anew from what was read before."""
    _work(company_id, {}, "recompile", wait=wait, as_json=as_json)


@commands.command("watch")
def watch_company(
    company_id: CompanyArgument,
    *,
    email: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Gets a mail when there is news.")] = None,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="Gets a POST when there is news.")] = None,
    every: Annotated[str, typer.Option(metavar="1d", help="Look again and again: 12h, 1d; `off` ends it.")] = "",
    cron: Annotated[str, typer.Option(metavar="'0 7 * * 1-5'", help="Look again and again, at these times.")] = "",
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Look whether a company has filed or restated anything; tell only of that."""
    told = {key: value for key, value in (("email", email), ("webhook", webhook)) if value}
    if every or cron:
        _watch_again(company_id, told, every, cron, as_json=as_json)
        return
    _work(company_id, {"notify": told or None}, "watch", wait=wait, as_json=as_json)


def _watch_again(company_id: str, told: dict[str, Any], every: str, cron: str, *, as_json: bool) -> None:
    """Make, change or end the schedule of a company's watch."""
    from api.cli.lookup import TENANT
    from api.cli.schedules import seconds_of
    from api.companies import company_at
    from api.company_watch import WatchRequest, unwatch, watch

    async def keep(services: Services) -> str:
        company = await company_at(services, company_id, TENANT)
        if every == "off":
            await unwatch(services, company)
            return ""
        timing = {"cron": cron} if cron else {"every_s": seconds_of(every)}
        return (await watch(services, company, WatchRequest.model_validate({**timing, "notify": told or None}))).name

    name = ask(keep)
    if as_json:
        print_json({"schedule": name or None})
    else:
        say(f"The company is watched by schedule {name}." if name else "The company is not watched any more.")
        next_step(("schedule list", "shows when it comes next"))


def _work(company_id: str, options: dict[str, Any], act: str, *, wait: bool, as_json: bool) -> None:
    """Submit a company's job, as the API does, and wait for it when asked."""
    from pydantic import ValidationError

    from api.cli.flow_commands import submit_request
    from api.cli.lookup import TENANT
    from api.companies import company_at
    from api.filings_jobs import TaskOptions, company_job, recompile_job

    try:
        asked = TaskOptions.model_validate({name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        said = error.errors()[0]
        raise Usage(f"{said['loc'][0]}: {said['msg'].removeprefix('Value error, ')}") from None
    company = ask(lambda services: company_at(services, company_id, TENANT))
    if act == "recompile":
        job = recompile_job(company, asked)
    else:
        job = company_job(company, asked, watch=act == "watch", scrape=act == "scrape")
    raise typer.Exit(run(submit_request(job, wait=wait, as_json=as_json)))
