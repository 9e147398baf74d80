"""``/limits``: what all workers share, and what operators set it to."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth import Operator, Reader, of_the_house
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.limits import LimitRequest, NoSuchLimit, clear_limit, list_limits, set_limit
from api.problems import Problem
from api.services import services_of

router = APIRouter(prefix="/limits", tags=["operations"])


@router.get("")
async def get_limits(request: Request, _: Reader) -> Response:
    """The limits that the installed flows declare, as they hold now."""
    return items(await list_limits(services_of(request)))


@router.put("/{name}", openapi_extra=body_schema(LimitRequest, {"count": 20, "per_s": 60}))
async def put_limit(request: Request, caller: Operator, name: str) -> Response:
    """Set a limit; workers hold to it within a second."""
    of_the_house(caller, "limits are what")
    asked = fit(LimitRequest, await read_json(request), "the limit")
    try:
        return Json(await set_limit(services_of(request), name, asked))
    except NoSuchLimit as error:
        raise Problem("not-found", str(error)) from None


@router.delete("/{name}", status_code=204)
async def delete_limit(request: Request, caller: Operator, name: str) -> Response:
    """Have a limit as it is declared."""
    of_the_house(caller, "limits are what")
    try:
        await clear_limit(services_of(request), name)
    except NoSuchLimit as error:
        raise Problem("not-found", str(error)) from None
    return Response(status_code=204)
