"""``millrace companies``: companies and their documents; statements and jobs are beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import company_jobs, company_statements
from api.cli.company_ask import CompanyArgument, ask
from api.cli.root import Usage
from api.cli.screen import Json, next_step, print_json, print_table, say

if TYPE_CHECKING:
    from api.services import Services

companies = typer.Typer(
    no_args_is_help=True, help="Companies: their filings, statements, corrections, and a watch over them."
)


@companies.command("list")
def list_companies(
    *, limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most companies.")] = 50, as_json: Json = False
) -> None:
    """List the companies."""
    from api.cli.lookup import TENANT
    from api.companies import company_view

    async def look(services: Services) -> list[dict[str, Any]]:
        page = await services.store.companies.page(tenant=TENANT, limit=limit)
        return [company_view(one) for one in page.items]

    found = ask(look)
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

    async def look(services: Services) -> tuple[dict[str, Any], bool]:
        company, is_new = await create(services, TENANT, asked)
        return company_view(company), is_new

    view, is_new = ask(look)
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

    async def look(services: Services) -> dict[str, Any]:
        view = company_view(await company_at(services, company_id, TENANT))
        kept = await services.store.companies.compiled(company_id, tenant=TENANT)
        return {**view, "compiled_at": kept.compiled_at if kept is not None else None}

    view = ask(look)
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
    taken = ask(lambda services: take_csv(services, TENANT, text))
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

    view = ask(act)
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

    ask(act)
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

    async def look(services: Services) -> list[dict[str, Any]]:
        await company_at(services, company_id, TENANT)
        page = await services.store.documents.page(tenant=TENANT, company_id=company_id, status=status, limit=limit)
        return [document_view(one) for one in page.items]

    found = ask(look)
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


companies.add_typer(company_statements.commands)
companies.add_typer(company_jobs.commands)

__all__ = ["companies"]
