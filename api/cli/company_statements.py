"""``millrace companies statements``, and the corrections of their cells."""

from __future__ import annotations

import getpass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from api.cli.company_ask import CompanyArgument, Frequency, Kind, ask
from api.cli.root import Usage
from api.cli.screen import Json, first_line, next_step, path_text, print_json, print_table, say

if TYPE_CHECKING:
    from api.services import Services

commands = typer.Typer()


@commands.command("statements")
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
        print_json(ask(lambda services: statements_view(services, company_id, TENANT, wanted)))
        return

    async def look(services: Services) -> Any:
        return only(await result_as_of(services, company_id, TENANT, wanted.as_of), wanted)

    result = ask(look)
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


@commands.command("correct")
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

    made = ask(act)
    if as_json:
        print_json(made)
        return
    printed = "nothing" if made["printed"] is None else f"{made['printed']:,}"
    say(f"Correction {made['id']}: {made['value']:,} instead of {printed}.")
    next_step(
        (f"companies statements {company_id}", "shows it"),
        (f"companies withdraw {company_id} {made['id']}", "takes it back"),
    )


@commands.command("corrections")
def list_corrections(company_id: CompanyArgument, *, as_json: Json = False) -> None:
    """List a company's corrections, withdrawn ones too."""
    from api.cli.lookup import TENANT
    from api.statements import correction_view

    async def look(services: Services) -> list[dict[str, Any]]:
        found = await services.store.corrections.of(company_id, tenant=TENANT, withdrawn=True)
        return [correction_view(one) for one in found]

    found = ask(look)
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


@commands.command("withdraw")
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

    job_id = ask(act)
    if as_json:
        print_json({"withdrawn": correction_id, "job_id": job_id})
    else:
        say(f"Correction {correction_id} is withdrawn.")
        next_step((f"companies statements {company_id}", "shows what holds"))


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
