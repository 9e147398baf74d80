"""``POST /tasks/companies/...`` and ``POST /tasks/documents/...``: as clients of the task queue before Millrace ask.

Each submits a job of the `filings` flow, or of a part of it; ``GET /tasks/{task_id}`` tells how it goes.
"""

from typing import Final, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth import Caller, Submitter
from api.bodies import body_schema, fit, read_json
from api.collected import collected_of
from api.companies import company_at
from api.documents import document_at
from api.filings_jobs import TaskOptions, collected_job, company_job, document_job, recompile_job
from api.json_response import Json
from api.problems import Problem
from api.services import services_of
from api.submission import accept
from api.views import API
from schemas.jobs import JobRequest

router = APIRouter(prefix="/tasks", tags=["companies"])

CompanyAct = Literal["extract", "scrape", "recompile"]
DocumentAct = Literal["process", "download", "classify", "extract", "embed"]

SAID = {
    "extract": "Reading the reports of company {id}",
    "scrape": "Looking for the documents of company {id}",
    "recompile": "Compiling the statements of company {id} anew",
}
SAID_OF_DOCUMENT = {
    "process": "Downloading and reading document {id}",
    "download": "Downloading document {id}",
    "classify": "Classifying document {id}",
    "extract": "Reading document {id}",
    "embed": "Embedding document {id}",
}
ONLY: Final = {"process": None, "extract": "text", "embed": "vectors"}
"""Acts on a document of a collection: what of it is done."""


@router.post("/companies/{company_id}/{act}", status_code=202, openapi_extra=body_schema(TaskOptions))
async def company_task(request: Request, caller: Submitter, company_id: str, act: CompanyAct) -> Response:
    """Submit a company's task: the whole pipeline, its documents' records only, or the compile only."""
    options = await _options(request)
    company = await company_at(services_of(request), company_id, caller.tenant)
    if act == "recompile":
        job = recompile_job(company, options)
    else:
        job = company_job(company, options, scrape=act == "scrape")
    return await _submitted(request, caller, job, SAID[act].format(id=company.id))


@router.post("/documents/{document_id}/{act}", status_code=202, openapi_extra=body_schema(TaskOptions))
async def document_task(request: Request, caller: Submitter, document_id: str, act: DocumentAct) -> Response:
    """Submit a document's task: download and read it, or only one of these, or only say what it is.

    Of a document of a collection: ``process`` reads and embeds it, ``extract`` only reads it, ``embed`` only embeds it.
    """
    options = await _options(request)
    collected = await collected_of(services_of(request), document_id, caller)
    if collected is not None and act in ONLY:
        job = collected_job(collected.collection_id, collected.id, ONLY[act], options)
        return await _submitted(request, caller, job, SAID_OF_DOCUMENT[act].format(id=collected.id))
    document = await document_at(services_of(request), document_id, caller.tenant)
    if document.flow != "filings" or act == "embed":
        raise Problem("not-found", f"document {document.id} is of flow {document.flow}, which has no such task")
    job = document_job(document, act, options)
    return await _submitted(request, caller, job, SAID_OF_DOCUMENT[act].format(id=document.id))


async def _options(request: Request) -> TaskOptions:
    return fit(TaskOptions, await read_json(request, default={}), "the task")


async def _submitted(request: Request, caller: Caller, job: JobRequest, message: str) -> Response:
    accepted = await accept(services_of(request), job, caller)
    answer = {"task_id": accepted.job_id, "status": "PENDING", "message": message}
    return Json(answer, 202, {"Location": f"{API}/tasks/{accepted.job_id}", "X-Trace-Id": accepted.trace_id})
