"""What the commands about companies share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from api.cli.root import run
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.services import Services

T = TypeVar("T")

CompanyArgument = Annotated[str, typer.Argument(metavar="COMPANY", help="Id of the company.", show_default=False)]
Kind = Literal["income_statement", "balance_sheet", "cash_flow"]
Frequency = Literal["annual", "quarterly", "year_to_date"]


def ask(work: Callable[[Services], Awaitable[T]]) -> T:
    """Do something with the services here; what the API would answer as a problem is an error here."""
    from api.cli.lookup import here, need_store
    from api.problems import Problem

    async def asked() -> T:
        async with here() as services:
            need_store(services)
            return await work(services)

    try:
        return run(asked())
    except Problem as problem:
        raise MillraceError(problem.detail) from None
