"""``/asyncapi.json /schemas``: what the streams hold, for programs that read and write them."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth import Reader
from api.contracts import asyncapi, contracts, schema_of
from api.json_response import Json, items
from api.problems import Problem
from api.services import services_of
from api.views import API

router = APIRouter(tags=["contracts"])


@router.get("/asyncapi.json")
async def streams_document(request: Request, _: Reader) -> Response:
    """The AsyncAPI 3 document of the streams, with the flows that are installed here."""
    services = services_of(request)
    return Json(asyncapi(services.flows, services.settings.namespace))


@router.get("/schemas")
async def list_schemas(request: Request, _: Reader) -> Response:
    """Everything in the streams that has a JSON Schema."""
    found = contracts(services_of(request).flows)
    return items([{"name": one.name, "about": one.about, "url": f"{API}/schemas/{one.name}"} for one in found])


@router.get("/schemas/{name}")
async def one_schema(request: Request, name: str, _: Reader) -> Response:
    """A JSON Schema (2020-12)."""
    for one in contracts(services_of(request).flows):
        if one.name == name:
            return Response(Json(schema_of(one)).body, media_type="application/schema+json")
    raise Problem("not-found", f"there is no schema {name[:60]!r}; GET {API}/schemas lists them")
