"""What every stage of a `filings` job asks of it: the spec, and the company its documents belong to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from consumers.net import urls
from schemas.filings import Company, DocumentType, FilingsSpec
from streams.errors import PermanentError
from streams.states import ENDED

if TYPE_CHECKING:
    from consumers.context import StageContext

_ALL_TYPES: Final[tuple[DocumentType, ...]] = get_args(DocumentType)


class _Begun(BaseModel):
    """The payload of a job that began at a later stage: it has addresses or a company, and no spec."""

    model_config = ConfigDict(extra="ignore")

    url: str = ""
    source_url: str = ""
    company_id: str | None = None


async def asked(ctx: StageContext) -> FilingsSpec:
    """The job's spec; of a job that began at a later stage, one for its company, or for its document's site.

    Raises:
        PermanentError: ``no_site``: it names neither a company nor an address; ``unknown_company``.
    """
    try:
        return await ctx.spec(FilingsSpec)
    except ValidationError:
        begun = await ctx.spec(_Begun)
    company, url = None, begun.source_url or begun.url
    if begun.company_id is not None:
        known = await ctx.store.companies.get(begun.company_id, tenant=ctx.tenant)
        if known is None:
            raise _unknown_company(begun.company_id)
        company, url = Company(id=known.id), known.url or url
    try:
        # Whoever begins with a document wants that one, whatever it turns out to be.
        return FilingsSpec(url=url, company=company, document_types=_ALL_TYPES)
    except ValidationError:
        raise PermanentError(
            f"job {ctx.job_id} names no address, so its company is not known; submit it with a url or a company_id",
            reason="no_site",
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
    """The company's id; its record is made or brought up to date, unless the job names it by its id.

    Raises:
        PermanentError: ``unknown_company``.
    """
    company = spec.company
    if company is not None and company.id is not None:
        if await ctx.store.companies.get(company.id, tenant=ctx.tenant) is None:
            raise _unknown_company(company.id)
        return company.id
    return await ctx.store.companies.put(
        company_key(spec),
        tenant=ctx.tenant,
        name=company.name if company else None,
        ticker=company.ticker if company else None,
        url=spec.url,
    )


async def named(ctx: StageContext, spec: FilingsSpec, company_id: str) -> Company | None:
    """What the caller, or the company's record, says that the company is called; None when neither does."""
    told = spec.company or Company()
    if told.name is None and told.ticker is None:
        known = await ctx.store.companies.get(company_id, tenant=ctx.tenant)
        if known is not None:
            told = Company(name=known.name or None, ticker=known.ticker or None)
    return told.model_copy(update={"id": company_id}) if told.name or told.ticker else None


@dataclass(frozen=True, slots=True)
class OtherJob:
    """The job that reads a company's site now; `running_s` since it started, 0 when that is not known."""

    job_id: str
    running_s: float = 0.0


async def other_job_at(ctx: StageContext, company_id: str) -> OtherJob | None:
    """The job that reads the company's site now; None when this one may: one does at a time."""
    holder, instead_of = "", None
    for _ in range(2):
        holder = await ctx.store.companies.claim(company_id, ctx.job_id, tenant=ctx.tenant, instead_of=instead_of)
        if holder == ctx.job_id:
            return None
        record = await ctx.job(holder)
        if record is not None and record.status not in ENDED:
            started_ms = record.number("started_at")
            return OtherJob(holder, max(0.0, time.time() - started_ms / 1_000) if started_ms else 0.0)
        instead_of = holder
    return OtherJob(holder)


def _unknown_company(company_id: str) -> PermanentError:
    return PermanentError(
        f"there is no company {company_id}; perhaps it was deleted: create it again and submit the job anew",
        reason="unknown_company",
    )
