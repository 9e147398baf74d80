"""``/websites``: the sites that are audited, their options and logins, and what is not to be fixed."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.audits import CrawlRequest, WebsiteRequest, crawl_website, website_view
from api.auth import Caller, Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.problems import Problem
from api.services import Services, services_of
from api.submission import judge_target
from consumers.audit.frontier import site_key
from consumers.audit.rules import RULES
from consumers.store.models import Website
from schemas.jobs import Asked, JobAccepted

router = APIRouter(prefix="/websites", tags=["audits"])


class WontFixRequest(Asked):
    """The body of ``PUT /websites/{id}/wont_fix``. `url` empty: on every page of the site."""

    rule: Annotated[str, Field(max_length=100)]
    url: Annotated[str, Field(max_length=2_000)] = ""
    reason: Annotated[str, Field(max_length=500)] = ""


@router.post("", status_code=201, openapi_extra=body_schema(WebsiteRequest, {"url": "https://example.com/"}))
async def post_website(request: Request, caller: Submitter) -> Response:
    """Make a website known; one of the same host is changed instead."""
    services = services_of(request)
    asked = fit(WebsiteRequest, await read_json(request), "the website")
    judge_target(services, asked.url, ("url",))
    website = await services.store.websites.ensure(site_key(asked.url), tenant=caller.tenant, url=asked.url)
    return Json(website_view(await _changed(services, website.id, asked, caller)), 201)


@router.get("")
async def list_websites(
    request: Request,
    caller: Reader,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's websites."""
    page = await services_of(request).store.websites.page(tenant=caller.tenant, cursor=cursor, limit=limit)
    return items([website_view(one) for one in page.items], page.next)


@router.get("/{website_id}")
async def get_website(request: Request, caller: Reader, website_id: str) -> Response:
    """A website."""
    return Json(website_view(await _website(services_of(request), website_id, caller)))


@router.put("/{website_id}", openapi_extra=body_schema(WebsiteRequest, {"url": "https://example.com/"}))
async def put_website(request: Request, caller: Submitter, website_id: str) -> Response:
    """Change a website: address on the same host, name, options, login."""
    services = services_of(request)
    website = await _website(services, website_id, caller)
    asked = fit(WebsiteRequest, await read_json(request), "the website")
    judge_target(services, asked.url, ("url",))
    if site_key(asked.url) != website.key:
        field = {"field": "url", "pointer": "#/url", "detail": f"must be on {website.key}"}
        raise Problem("invalid-request", f"url: website {website_id} is {website.key}; add another", errors=[field])
    return Json(website_view(await _changed(services, website_id, asked, caller)))


@router.delete("/{website_id}", status_code=204)
async def delete_website(request: Request, caller: Submitter, website_id: str) -> Response:
    """Forget a website with its audits, their pages, issues and reports."""
    services = services_of(request)
    if not await services.store.websites.remove(website_id, tenant=caller.tenant):
        raise _no_such(website_id)
    return Response(status_code=204)


@router.post(
    "/{website_id}/crawl", status_code=202, response_model=JobAccepted, openapi_extra=body_schema(CrawlRequest)
)
async def post_crawl(
    request: Request,
    caller: Submitter,
    website_id: str,
    key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
) -> Response:
    """Audit a website by its own options."""
    services = services_of(request)
    website = await _website(services, website_id, caller)
    asked = fit(CrawlRequest, await read_json(request, default={}), "the crawl")
    identity = f"key {caller.tenant} {caller.key_id} {key}" if key else ""
    accepted = await crawl_website(services, website, asked, caller, identity=identity)
    return Json(accepted, 202, {"Location": accepted.links["self"], "X-Trace-Id": accepted.trace_id})


@router.get("/{website_id}/history")
async def get_history(request: Request, caller: Reader, website_id: str) -> Response:
    """The website's finished audits, newest first: its score over time."""
    services = services_of(request)
    await _website(services, website_id, caller)
    audits = await services.store.audits.history(website_id, tenant=caller.tenant)
    return items(
        [
            {
                "audit_id": one.job_id, "at": one.created_at, "score": one.score, "pages": one.pages,
                "issues": one.issues, "comparison": (one.payload or {}).get("comparison"),
            }
            for one in audits
        ]
    )  # fmt: skip


@router.get("/{website_id}/wont_fix")
async def get_wont_fix(request: Request, caller: Reader, website_id: str) -> Response:
    """What its owner decided to live with; the next audit does not count it."""
    services = services_of(request)
    await _website(services, website_id, caller)
    found = await services.store.websites.wont_fix(website_id, tenant=caller.tenant)
    return items(
        [{"rule": one.rule, "url": one.url, "reason": one.reason, "created_at": one.created_at} for one in found]
    )


@router.put("/{website_id}/wont_fix", openapi_extra=body_schema(WontFixRequest, {"rule": "title-long", "url": ""}))
async def put_wont_fix(request: Request, caller: Submitter, website_id: str) -> Response:
    """Live with a rule's findings, on one page or on all."""
    services = services_of(request)
    await _website(services, website_id, caller)
    asked = fit(WontFixRequest, await read_json(request), "the decision")
    if asked.rule not in RULES:
        field = {"field": "rule", "pointer": "#/rule", "detail": "is not the id of a rule"}
        raise Problem("invalid-request", f"rule: there is no rule {asked.rule[:100]!r}", errors=[field])
    await services.store.websites.put_wont_fix(website_id, asked.rule, asked.url, asked.reason, tenant=caller.tenant)
    return Json(asked.model_dump())


@router.delete("/{website_id}/wont_fix", status_code=204)
async def delete_wont_fix(
    request: Request,
    caller: Submitter,
    website_id: str,
    rule: Annotated[str, Query(max_length=100)],
    url: Annotated[str, Query(max_length=2_000)] = "",
) -> Response:
    """Take such a decision back."""
    services = services_of(request)
    if not await services.store.websites.drop_wont_fix(website_id, rule, url, tenant=caller.tenant):
        raise Problem(
            "not-found", f"website {website_id} has no such decision on {rule[:100]}; GET …/wont_fix lists them"
        )
    return Response(status_code=204)


async def _changed(services: Services, website_id: str, asked: WebsiteRequest, caller: Caller) -> Website:
    values = {
        "url": asked.url, "name": asked.name, "options": asked.options.model_dump(mode="json", exclude_none=True),
    }  # fmt: skip
    if "login" in asked.model_fields_set:
        values["login"] = asked.login.headers() if asked.login is not None else None
    changed = await services.store.websites.change(website_id, tenant=caller.tenant, **values)
    if changed is None:
        raise _no_such(website_id)
    return changed


async def _website(services: Services, website_id: str, caller: Caller) -> Website:
    website = await services.store.websites.get(website_id, tenant=caller.tenant)
    if website is None:
        raise _no_such(website_id)
    return website


def _no_such(website_id: str) -> Problem:
    return Problem(
        "not-found", f"there is no website {website_id[:64]!r}; GET /api/v1/websites lists those that there are"
    )
