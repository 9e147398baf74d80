"""``/companies/{id}/statements`` in every view and format, and ``/companies/{id}/corrections``."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.auth import Caller, Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.companies import company_at
from api.corrections import CorrectionBody, correct, withdraw
from api.filings_jobs import TaskOptions, recompile_job
from api.json_response import Json, items
from api.results import FILE_MB, FILE_S
from api.services import Services, services_of
from api.statements import View, Wanted, correction_view, only, result_as_of, statements_view
from api.submission import accept
from consumers.filings.files import FORMATS
from schemas.filings import Frequency, StatementKind

router = APIRouter(prefix="/companies/{company_id}", tags=["companies"])

Format = Literal["json", "csv", "xlsx", "parquet"]
OfFrequency = Annotated[Frequency | None, Query()]
OfKind = Annotated[StatementKind | None, Query()]
AsOf = Annotated[date | None, Query(description="What was known on that day")]


@router.get("/statements")
async def get_statements(
    request: Request,
    caller: Reader,
    company_id: str,
    *,
    view: View = "as_reported",
    frequency: OfFrequency = None,
    statement: OfKind = None,
    as_of: AsOf = None,
) -> Response:
    """The compiled statements: values with where each is printed, what was restated and by which filing, and gaps."""
    wanted = Wanted(view, frequency, statement, as_of)
    return Json(await statements_view(services_of(request), company_id, caller.tenant, wanted))


@router.get("/statements.{form}")
async def get_statements_file(
    request: Request,
    caller: Reader,
    company_id: str,
    form: Format,
    *,
    frequency: OfFrequency = None,
    statement: OfKind = None,
    as_of: AsOf = None,
) -> Response:
    """The compiled statements as a file: ``.csv``, ``.xlsx``, ``.parquet`` or ``.json``."""
    services = services_of(request)
    wanted = Wanted("as_reported", frequency, statement, as_of)
    result = only(await result_as_of(services, company_id, caller.tenant, as_of), wanted)
    content_type, write = FORMATS[form]
    data = await services.cpu.run(write, result, timeout_s=FILE_S, memory_mb=FILE_MB)
    headers = {"Content-Disposition": f'attachment; filename="statements-{company_id}.{form}"'}
    return Response(data, media_type=content_type, headers=headers)


@router.get("/corrections")
async def list_corrections(
    request: Request, caller: Reader, company_id: str, *, withdrawn: Annotated[bool, Query()] = False
) -> Response:
    """The corrections that hold, oldest first; with `withdrawn=true` the others too."""
    services = services_of(request)
    await company_at(services, company_id, caller.tenant)
    found = await services.store.corrections.of(company_id, tenant=caller.tenant, withdrawn=withdrawn)
    return items([correction_view(one) for one in found])


@router.put(
    "/corrections",
    openapi_extra=body_schema(
        CorrectionBody,
        {
            "statement": "income_statement", "key": "revenue", "period_end": "2024-12-31", "value": 1234,
            "reason": "printed without the last digit",
        },
    ),
)  # fmt: skip
async def put_correction(request: Request, caller: Submitter, company_id: str) -> Response:
    """Correct a cell; the statements are compiled anew, and this value survives it until it is withdrawn."""
    services = services_of(request)
    asked = fit(CorrectionBody, await read_json(request), "the correction")
    made = await correct(services, company_id, caller.tenant, asked, await _who(services, caller))
    company = await company_at(services, company_id, caller.tenant)
    accepted = await accept(services, recompile_job(company, TaskOptions()), caller)
    return Json({**made, "task_id": accepted.job_id})


@router.delete("/corrections/{correction_id}")
async def withdraw_correction(request: Request, caller: Submitter, company_id: str, correction_id: str) -> Response:
    """Withdraw a correction; what is printed holds again as soon as the statements are compiled anew."""
    services = services_of(request)
    company = await company_at(services, company_id, caller.tenant)
    await withdraw(services, company_id, caller.tenant, correction_id, await _who(services, caller))
    accepted = await accept(services, recompile_job(company, TaskOptions()), caller)
    return Json({"id": correction_id, "withdrawn": True, "task_id": accepted.job_id})


async def _who(services: Services, caller: Caller) -> str:
    """The name of the caller's API key, with its id, for the record."""
    keys = await services.api_keys.list()
    name = next((key.name for key in keys if key.id == caller.key_id), "")
    return f"{name} ({caller.key_id})" if name else caller.key_id
