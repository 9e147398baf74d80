"""``/companies``: made, listed, changed, removed, taken from CSV; their documents, and the watch over them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.auth import Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.companies import CompanyBody, CompanyChange, company_at, company_view, create, take_csv
from api.company_watch import WatchRequest, unwatch, watch
from api.documents import document_view
from api.filings_jobs import TaskOptions, company_job
from api.json_response import Json, items
from api.problems import Problem
from api.services import services_of
from api.submission import accept
from api.views import API
from schemas.jobs import Asked, JobAccepted

router = APIRouter(prefix="/companies", tags=["companies"])

CSV_EXAMPLE = "name,ticker,url\nArden plc,ARD,https://example.com/investors\n"


class CsvBody(Asked):
    """Companies as CSV, in JSON; the same text may be sent as ``text/csv``."""

    csv: str = Field(max_length=1 << 20)


@router.get("")
async def list_companies(
    request: Request,
    caller: Reader,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's companies."""
    page = await services_of(request).store.companies.page(tenant=caller.tenant, cursor=cursor, limit=limit)
    return items([company_view(one) for one in page.items], page.next)


@router.post(
    "",
    status_code=201,
    openapi_extra=body_schema(CompanyBody, {"name": "Arden plc", "url": "https://example.com/investors"}),
)
async def create_company(request: Request, caller: Submitter) -> Response:
    """Make a company; one with the same site and ticker or name is answered with 200, as it is."""
    asked = fit(CompanyBody, await read_json(request), "the company")
    company, is_new = await create(services_of(request), caller.tenant, asked)
    view = company_view(company)
    return Json(view, 201 if is_new else 200, {"Location": view["links"]["self"]})


@router.post(
    "/import",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": CSV_EXAMPLE},
                "application/json": {"schema": CsvBody.model_json_schema()},
            },
        }
    },
)
async def import_companies(request: Request, caller: Submitter) -> Response:
    """Make companies of a CSV with the columns url, name and ticker; each line is answered for itself."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/csv":
        try:
            text = (await request.body()).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Problem("invalid-request", f"the CSV is not UTF-8: {error}; save it as UTF-8") from None
    else:
        text = fit(CsvBody, await read_json(request), "the CSV").csv
    return Json(await take_csv(services_of(request), caller.tenant, text))


@router.get("/{company_id}")
async def get_company(request: Request, caller: Reader, company_id: str) -> Response:
    """A company, with the revision of its compiled statements."""
    services = services_of(request)
    company = await company_at(services, company_id, caller.tenant)
    kept = await services.store.companies.compiled(company_id, tenant=caller.tenant)
    compiled: dict[str, Any] = {
        "revision": kept.revision if kept is not None else None,
        "compiled_at": kept.compiled_at if kept is not None else None,
        "running_job": await _running(request, company.running_job),
    }
    return Json({**company_view(company), **compiled})


@router.patch("/{company_id}", openapi_extra=body_schema(CompanyChange, {"ticker": "ARD"}))
async def change_company(request: Request, caller: Submitter, company_id: str) -> Response:
    """Change a company's name, ticker or address; its id, documents and statements stay."""
    asked = fit(CompanyChange, await read_json(request), "the change")
    return await _changed(request, company_id, caller.tenant, asked.model_dump(exclude_unset=True))


@router.put("/{company_id}", openapi_extra=body_schema(CompanyBody))
async def replace_company(request: Request, caller: Submitter, company_id: str) -> Response:
    """Replace what is known of a company; its id, documents and statements stay."""
    asked = fit(CompanyBody, await read_json(request), "the company")
    return await _changed(request, company_id, caller.tenant, asked.model_dump())


@router.delete("/{company_id}", status_code=204)
async def remove_company(request: Request, caller: Submitter, company_id: str) -> Response:
    """Forget a company with its documents, statements and corrections; jobs and their results stay."""
    services = services_of(request)
    await unwatch(services, await company_at(services, company_id, caller.tenant))
    await services.store.companies.remove(company_id, tenant=caller.tenant)
    return Response(status_code=204)


@router.get("/{company_id}/documents")
async def list_documents(
    request: Request,
    caller: Reader,
    company_id: str,
    status: Annotated[str | None, Query(pattern="^(found|downloaded|extracted|refused)$")] = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """What was found on the company's site, and what became of it."""
    services = services_of(request)
    await company_at(services, company_id, caller.tenant)
    page = await services.store.documents.page(
        tenant=caller.tenant, company_id=company_id, status=status, cursor=cursor, limit=limit
    )
    return items([document_view(one) for one in page.items], page.next)


@router.post("/{company_id}/watch", status_code=202, response_model=JobAccepted, openapi_extra=body_schema(TaskOptions))
async def watch_company(request: Request, caller: Submitter, company_id: str) -> Response:
    """Look now whether the company has filed anything; `notify` is told only of a new filing or a restatement."""
    services = services_of(request)
    options = fit(TaskOptions, await read_json(request, default={}), "the watch")
    company = await company_at(services, company_id, caller.tenant)
    job = company_job(company, options, watch=True)
    accepted = await accept(services, job, caller)
    return Json(accepted, 202, {"Location": f"{API}/jobs/{accepted.job_id}"})


@router.put("/{company_id}/watch", openapi_extra=body_schema(WatchRequest, {"every_s": 86_400}))
async def watch_company_again(request: Request, caller: Submitter, company_id: str) -> Response:
    """Look by a schedule, cron or interval; `notify` is told only of a new filing or a restatement."""
    services = services_of(request)
    asked = fit(WatchRequest, await read_json(request), "the watch")
    return Json(await watch(services, await company_at(services, company_id, caller.tenant), asked))


@router.delete("/{company_id}/watch", status_code=204)
async def unwatch_company(request: Request, caller: Submitter, company_id: str) -> Response:
    """Look by no schedule any more."""
    services = services_of(request)
    await unwatch(services, await company_at(services, company_id, caller.tenant))
    return Response(status_code=204)


async def _changed(request: Request, company_id: str, tenant: str, values: dict[str, Any]) -> Response:
    services = services_of(request)
    await company_at(services, company_id, tenant)
    await services.store.companies.change(company_id, values, tenant=tenant)
    return Json(company_view(await company_at(services, company_id, tenant)))


async def _running(request: Request, job_id: str | None) -> str | None:
    """The job that reads the company's site now."""
    if job_id is None:
        return None
    record = await services_of(request).log.job(job_id)
    return job_id if record is not None and not record.number("finished_at") else None
