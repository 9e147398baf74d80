"""What every stage of a `filings` job asks of it: the spec, and the company its documents belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from consumers.net import urls
from schemas.filings import FilingsSpec
from streams.errors import PermanentError

if TYPE_CHECKING:
    from consumers.context import StageContext


class _Begun(BaseModel):
    """The payload of a job that began at a later stage: it has addresses, and no spec."""

    model_config = ConfigDict(extra="ignore")

    url: str = ""
    source_url: str = ""


async def asked(ctx: StageContext) -> FilingsSpec:
    """The job's spec; of a job that began at a later stage, the default one for the site its document is from.

    Raises:
        PermanentError: ``no_site``: it names no address.
    """
    try:
        return await ctx.spec(FilingsSpec)
    except ValidationError:
        begun = await ctx.spec(_Begun)
    try:
        return FilingsSpec(url=begun.source_url or begun.url)
    except ValidationError:
        raise PermanentError(
            f"job {ctx.job_id} names no address, so its company is not known; submit it with a url", reason="no_site"
        ) from None


def company_key(spec: FilingsSpec) -> str:
    """What a company is known by: its site's host, and its ticker or name when the caller says which it is.

    Hosts that keep the reports of many companies are told apart only by what the caller says.
    """
    host = urls.host_of(spec.url).removeprefix("www.")
    company = spec.company
    told = (company.ticker or company.name or "").casefold().strip() if company is not None else ""
    return f"{host} {told}".rstrip()


async def company_of(ctx: StageContext, spec: FilingsSpec) -> str:
    """The company's id; its record is made or brought up to date."""
    company = spec.company
    return await ctx.store.companies.put(
        company_key(spec),
        tenant=ctx.tenant,
        name=company.name if company else None,
        ticker=company.ticker if company else None,
        url=spec.url,
    )
