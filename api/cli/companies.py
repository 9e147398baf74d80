"""``millrace companies``: companies, their documents, their statements, and a person's corrections."""

from __future__ import annotations

import getpass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, first_line, next_step, path_text, print_json, print_table, say
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.services import Services

    Ask = Callable[[Services], Awaitable["T"]]

T = TypeVar("T")

companies = typer.Typer(
    no_args_is_help=True, help="Companies: their filings, statements, corrections, and a watch over them."
)

CompanyArgument = Annotated[str, typer.Argument(metavar="COMPANY", help="Id of the company.", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end, and show how it goes.")]
Kind = Literal["income_statement", "balance_sheet", "cash_flow"]
Frequency = Literal["annual", "quarterly", "year_to_date"]


def _ask(ask: Ask[T]) -> T:
    """Ask something with the services here; what the API would answer as a problem is an error here."""
    from api.cli.lookup import here, need_store
    from api.problems import Problem

    async def asked() -> T:
        async with here() as services:
            need_store(services)
            return await ask(services)

    try:
        return run(asked())
    except Problem as problem:
        raise MillraceError(problem.detail) from None


@companies.command("list")
def list_companies(
    *, limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most companies.")] = 50, as_json: Json = False
) -> None:
    """List the companies."""
    from api.cli.lookup import TENANT
    from api.companies import company_view

    async def ask(services: Services) -> list[dict[str, Any]]:
        page = await services.store.companies.page(tenant=TENANT, limit=limit)
        return [company_view(one) for one in page.items]

    found = _ask(ask)
    if as_json:
        for one in found:
            print_json(one)
    elif not found:
        say("No companies yet.")
        next_step(("companies add URL --name NAME", "makes one"), ("companies import FILE", "makes many"))
    else:
        print_table(
            ("company", "name", "ticker", "url"), [(one["id"], one["name"], one["ticker"], one["url"]) for one in found]
        )
        next_step((f"companies extract {found[0]['id']} --wait", "reads its reports"))


@companies.command("add")
def add_company(
    url: Annotated[str, typer.Argument(metavar="URL", help="Its investor-relations page.", show_default=False)],
    *,
    name: Annotated[str | None, typer.Option(help="As on its reports.")] = None,
    ticker: Annotated[str | None, typer.Option(help="At its exchange.")] = None,
    as_json: Json = False,
) -> None:
    """Make a company known; one that is known is shown as it is."""
    from pydantic import ValidationError

    from api.cli.lookup import TENANT
    from api.companies import CompanyBody, company_view, create

    try:
        asked = CompanyBody(url=url, name=name, ticker=ticker)
    except ValidationError as error:
        raise Usage(error.errors()[0]["msg"].removeprefix("Value error, ")) from None

    async def ask(services: Services) -> tuple[dict[str, Any], bool]:
        company, is_new = await create(services, TENANT, asked)
        return company_view(company), is_new

    view, is_new = _ask(ask)
    if as_json:
        print_json({**view, "created": is_new})
        return
    say(f"Company {view['id']}" + ("" if is_new else " was known before."))
    next_step(
        (f"companies extract {view['id']} --wait", "reads its reports"),
        (f"companies watch {view['id']}", "looks for new ones"),
    )


@companies.command("show")
def show_company(company_id: CompanyArgument, *, as_json: Json = False) -> None:
    """Show a company."""
    from api.cli.lookup import TENANT
    from api.companies import company_at, company_view

    async def ask(services: Services) -> dict[str, Any]:
        view = company_view(await company_at(services, company_id, TENANT))
        kept = await services.store.companies.compiled(company_id, tenant=TENANT)
        return {**view, "compiled_at": kept.compiled_at if kept is not None else None}

    view = _ask(ask)
    if as_json:
        print_json(view)
        return
    print_table(("", ""), [(key, view[key]) for key in ("id", "name", "ticker", "url", "created_at", "compiled_at")])
    next_step(
        (f"companies documents {company_id}", "lists what was found"),
        (f"companies statements {company_id}", "shows its statements"),
    )


@companies.command("import")
def import_companies(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with the columns url, name, ticker.")],
    *,
    as_json: Json = False,
) -> None:
    """Make companies of a CSV; a line that is wrong leaves the others alone."""
    from api.cli.lookup import TENANT
    from api.companies import take_csv

    text = file.read_text(encoding="utf-8-sig")
    taken = _ask(lambda services: take_csv(services, TENANT, text))
    if as_json:
        print_json(taken)
    else:
        say(f"{taken['created']} made, {taken['known']} known before, {taken['invalid']} wrong.")
        for one in taken["items"]:
            if one["status"] == "invalid":
                say(f"  line {one['line']}: {one['error']}", "red")
        next_step(("companies list", "lists them"))
    if taken["invalid"]:
        raise typer.Exit(1)


@companies.command("change")
def change_company(
    company_id: CompanyArgument,
    *,
    url: Annotated[str | None, typer.Option(help="Another investor-relations page.")] = None,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    ticker: Annotated[str | None, typer.Option(help="Another ticker.")] = None,
    as_json: Json = False,
) -> None:
    """Change what is known of a company; its id, documents and statements stay."""
    from pydantic import ValidationError

    from api.cli.lookup import TENANT
    from api.companies import CompanyChange, company_at, company_view

    given = {key: value for key, value in (("url", url), ("name", name), ("ticker", ticker)) if value is not None}
    try:
        asked = CompanyChange.model_validate(given)
    except ValidationError as error:
        raise Usage(error.errors()[0]["msg"].removeprefix("Value error, ")) from None

    async def act(services: Services) -> dict[str, Any]:
        await company_at(services, company_id, TENANT)
        await services.store.companies.change(company_id, asked.model_dump(exclude_unset=True), tenant=TENANT)
        return company_view(await company_at(services, company_id, TENANT))

    view = _ask(act)
    if as_json:
        print_json(view)
    else:
        print_table(("", ""), [(key, view[key]) for key in ("id", "name", "ticker", "url")])
        next_step((f"companies extract {company_id} --wait", "reads its reports"))


@companies.command("remove")
def remove_company(company_id: CompanyArgument, *, as_json: Json = False) -> None:
    """Forget a company with its documents, statements and corrections; jobs and their results stay."""
    from api.cli.lookup import TENANT
    from api.companies import company_at

    async def act(services: Services) -> None:
        await company_at(services, company_id, TENANT)
        await services.store.companies.remove(company_id, tenant=TENANT)

    _ask(act)
    if as_json:
        print_json({"removed": company_id})
    else:
        say(f"Company {company_id} is forgotten.")
        next_step(("companies list", "lists those that are left"))


@companies.command("documents")
def list_documents(
    company_id: CompanyArgument,
    *,
    status: Annotated[str | None, typer.Option(metavar="found|downloaded|extracted|refused")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most documents.")] = 200,
    as_json: Json = False,
) -> None:
    """List what was found on a company's site, and what became of it."""
    from api.cli.lookup import TENANT
    from api.companies import company_at
    from api.documents import document_view

    async def ask(services: Services) -> list[dict[str, Any]]:
        await company_at(services, company_id, TENANT)
        page = await services.store.documents.page(tenant=TENANT, company_id=company_id, status=status, limit=limit)
        return [document_view(one) for one in page.items]

    found = _ask(ask)
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(
        ("document", "type", "year", "status", "url"),
        [
            (one["id"], one["document_type"], one["fiscal_year"],
             one["status"] + (f": {one['reason']}" if one["reason"] else ""), one["url"])
            for one in sorted(found, key=lambda one: (str(one["document_type"]), -(one["fiscal_year"] or 0)))
        ],
    )  # fmt: skip
    next_step((f"companies extract {company_id} --wait", "reads them"))


@companies.command("statements")
def show_statements(
    company_id: CompanyArgument,
    *,
    view: Annotated[Literal["as_reported", "standardised"], typer.Option(help="Which view.")] = "as_reported",
    frequency: Annotated[Frequency, typer.Option(help="Which periods.")] = "annual",
    statement: Annotated[Kind | None, typer.Option(help="Only this one.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="What was known on that day.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there: .xlsx, .csv, .parquet or .json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a company's compiled statements."""
    from api.cli.lookup import TENANT
    from api.statements import Wanted, only, result_as_of, statements_view

    wanted = Wanted(view, frequency, statement, as_of.date() if as_of is not None else None)
    if as_json:
        print_json(_ask(lambda services: statements_view(services, company_id, TENANT, wanted)))
        return

    async def ask(services: Services) -> Any:
        return only(await result_as_of(services, company_id, TENANT, wanted.as_of), wanted)

    result = _ask(ask)
    if save is not None:
        from consumers.filings.files import FORMATS

        form = save.suffix.lstrip(".").lower()
        if form not in FORMATS:
            raise Usage(f"--save {save}: the name must end in " + ", ".join(f".{name}" for name in FORMATS))
        save.write_bytes(FORMATS[form][1](result))
        say(f"wrote {path_text(save)}")
    elif view == "standardised":
        _print_standard(result)
    else:
        from api.cli.results import filings_parts
        from api.cli.screen import console

        for part in filings_parts(result, kinds=len(result.statements)):
            console().print(part)
    next_step(
        (f"companies statements {company_id} --save statements.xlsx", "writes a workbook"),
        (f"companies correct {company_id} …", "corrects a cell"),
    )


def _print_standard(result: Any) -> None:
    from api.cli.results import TITLES
    from consumers.filings.standard import standardised

    for one in result.statements:
        say(f"\n{TITLES[one.kind]}  {one.currency or ''} x {one.unit_multiplier:,}", "bold")
        ends = one.period_ends[:6]
        print_table(
            ("concept", "line", *(end.isoformat() for end in ends)),
            [
                (row.concept, first_line(row.label, 44), *(f"{cell.value:,}" if cell else "" for cell in row.cells[:6]))
                for row in standardised(one)
            ],
            right=[end.isoformat() for end in ends],
        )


@companies.command("correct")
def correct_cell(
    company_id: CompanyArgument,
    *,
    statement: Annotated[Kind, typer.Option(help="Which statement.", show_default=False)],
    line: Annotated[str, typer.Option(help="Label or key of the line.", show_default=False)],
    period: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="End of the period.", show_default=False)
    ],
    value: Annotated[str, typer.Option(help="What should hold, in the statement's unit.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why; shown wherever the value is.", show_default=False)],
    frequency: Annotated[Frequency, typer.Option(help="Which periods.")] = "annual",
    currency: Annotated[str | None, typer.Option(help="Where there are several.")] = None,
    as_json: Json = False,
) -> None:
    """Correct a cell; it survives every compile, and is shown as corrected."""
    from pydantic import ValidationError

    from api.cli.lookup import TENANT
    from api.corrections import CorrectionBody, correct

    given: dict[str, Any] = {
        "statement": statement, "key": line, "period_end": _day(period), "value": value, "reason": reason,
        "frequency": frequency, "currency": currency,
    }  # fmt: skip
    try:
        asked = CorrectionBody.model_validate(given)
    except ValidationError as error:
        said = error.errors()[0]
        raise Usage(f"--{said['loc'][0]}: {said['msg'].removeprefix('Value error, ')}") from None

    async def act(services: Services) -> dict[str, Any]:
        made = await correct(services, company_id, TENANT, asked, getpass.getuser())
        return {**made, "job_id": await _submit_recompile(services, company_id)}

    made = _ask(act)
    if as_json:
        print_json(made)
        return
    printed = "nothing" if made["printed"] is None else f"{made['printed']:,}"
    say(f"Correction {made['id']}: {made['value']:,} instead of {printed}.")
    next_step(
        (f"companies statements {company_id}", "shows it"),
        (f"companies withdraw {company_id} {made['id']}", "takes it back"),
    )


@companies.command("corrections")
def list_corrections(company_id: CompanyArgument, *, as_json: Json = False) -> None:
    """List a company's corrections, withdrawn ones too."""
    from api.cli.lookup import TENANT
    from api.statements import correction_view

    async def ask(services: Services) -> list[dict[str, Any]]:
        found = await services.store.corrections.of(company_id, tenant=TENANT, withdrawn=True)
        return [correction_view(one) for one in found]

    found = _ask(ask)
    if as_json:
        for one in found:
            print_json(one)
        return
    print_table(
        ("correction", "line", "period", "value", "printed", "by", "reason", "withdrawn"),
        [
            (one["id"], one["key"], one["period_end"], one["value"], one["printed"], one["by"],
             first_line(one["reason"], 40), one["withdrawn_by"])
            for one in found
        ],
        right=("value", "printed"),
    )  # fmt: skip
    next_step((f"companies withdraw {company_id} CORRECTION", "takes one back"))


@companies.command("withdraw")
def withdraw_correction(
    company_id: CompanyArgument,
    correction_id: Annotated[str, typer.Argument(metavar="CORRECTION", help="Its id.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Take a correction back; what is printed holds again."""
    from api.cli.lookup import TENANT
    from api.corrections import withdraw

    async def act(services: Services) -> str:
        await withdraw(services, company_id, TENANT, correction_id, getpass.getuser())
        return await _submit_recompile(services, company_id)

    job_id = _ask(act)
    if as_json:
        print_json({"withdrawn": correction_id, "job_id": job_id})
    else:
        say(f"Correction {correction_id} is withdrawn.")
        next_step((f"companies statements {company_id}", "shows what holds"))


@companies.command("extract")
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


@companies.command("scrape")
def scrape_company(company_id: CompanyArgument, *, wait: Wait = False, as_json: Json = False) -> None:
    """Look for a company's documents, and download none."""
    _work(company_id, {}, "scrape", wait=wait, as_json=as_json)


@companies.command("recompile")
def recompile_company(company_id: CompanyArgument, *, wait: Wait = False, as_json: Json = False) -> None:
    """Compile a company's statements anew from what was read before."""
    _work(company_id, {}, "recompile", wait=wait, as_json=as_json)


@companies.command("watch")
def watch_company(
    company_id: CompanyArgument,
    *,
    email: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Gets a mail when there is news.")] = None,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="Gets a POST when there is news.")] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Look now whether a company has filed or restated anything; tell only of that."""
    told = {key: value for key, value in (("email", email), ("webhook", webhook)) if value}
    _work(company_id, {"notify": told or None}, "watch", wait=wait, as_json=as_json)


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
    company = _ask(lambda services: company_at(services, company_id, TENANT))
    if act == "recompile":
        job = recompile_job(company, asked)
    else:
        job = company_job(company, asked, watch=act == "watch", scrape=act == "scrape")
    raise typer.Exit(run(submit_request(job, wait=wait, as_json=as_json)))


async def _submit_recompile(services: Services, company_id: str) -> str:
    from api.cli.lookup import TENANT
    from api.companies import company_at
    from api.filings_jobs import TaskOptions, recompile_job
    from consumers.flow import installed
    from consumers.submit import submit

    company = await company_at(services, company_id, TENANT)
    return (await submit(services.log, installed(), recompile_job(company, TaskOptions()))).job_id


def _day(instant: datetime) -> date:
    return instant.date()


__all__ = ["companies"]
