"""``/analytics`` and ``/alerts``: what flows, how fast, how much fails; and who is told when it is too much."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Final, Literal

import orjson
from fastapi import APIRouter, Header, Query, Request
from pydantic import Field
from starlette.responses import Response

from api import audit
from api.auth import Operator, Reader, of_the_house, tenant_asked
from api.bodies import body_schema, fit, read_json
from api.figures import alert_views, figures, kept_of
from api.json_response import Json, items
from api.live import place_of
from api.problems import Problem
from api.routes.live import EventStream
from api.services import Services, services_of
from consumers.analytics.keep import Silence, news_view, silence_view
from consumers.analytics.rules import RULES
from schemas.jobs import Asked

router = APIRouter(tags=["analytics"])

LOOK_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
PAGE: Final = 100


class SilenceRequest(Asked):
    """The body of ``PUT /alerts/{rule}/silence``.

    Attributes:
        for_s: How long nobody is told; 0 ends it.
    """

    for_s: Annotated[float, Field(ge=0, le=30 * 86_400)] = 3_600.0
    reason: Annotated[str, Field(max_length=500)] = ""


@router.get("/analytics")
async def get_analytics(
    request: Request,
    caller: Reader,
    window: Literal["1m", "5m", "15m"] = "5m",
    tenant: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Throughput, failures and durations by stage, flow and host, in windows, the newest first.

    ``1m`` tumbles, ``5m`` and ``15m`` hop. `is_stale` says that the process that counts is away or reads back.
    """
    services = services_of(request)
    return Json(await figures(services, window, tenant_asked(caller, tenant)))


@router.get("/alerts")
async def list_alerts(request: Request, _: Reader) -> Response:
    """Every alert rule by what it is about, with its figure and threshold; what fires first."""
    return items(await alert_views(services_of(request)))


@router.get("/alerts/news")
async def alert_news(request: Request, _: Reader, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
    """What fired and what was over of late, the newest first; a week is kept."""
    return items(await kept_of(services_of(request)).recent(limit))


@router.get("/alerts/events")
async def alert_events(
    request: Request,
    _: Reader,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[str | None, Query(description="as Last-Event-ID")] = None,
) -> Response:
    """What fires and what is over, as it happens (SSE); from `Last-Event-ID` on, else from now."""
    services = services_of(request)
    asked = last_event_id or after
    try:
        place = "$" if asked is None else "-".join(map(str, place_of(asked)))
    except ValueError as error:
        raise Problem(
            "invalid-request", str(error), errors=[{"field": "Last-Event-ID", "detail": str(error)}]
        ) from None
    return EventStream(_news(services, place), services.hub)


@router.put(
    "/alerts/{rule}/silence", openapi_extra=body_schema(SilenceRequest, {"for_s": 3600, "reason": "a planned import"})
)
async def silence_rule(request: Request, caller: Operator, rule: str) -> Response:
    """Tell nobody of a rule for a while. It goes on deciding, and the list shows it."""
    services = services_of(request)
    of_the_house(caller, "alert rules")
    if rule not in RULES:
        raise Problem("not-found", f"there is no alert rule {rule[:60]!r}; there are: {', '.join(RULES)}")
    asked = fit(SilenceRequest, await read_json(request, default={}), "the silence")
    silence = Silence(rule, round((time.time() + asked.for_s) * 1_000), caller.actor, asked.reason)
    await kept_of(services).silence(silence)
    detail = {"for_s": asked.for_s, "reason": asked.reason}
    await audit.record(services, caller.actor, "alert.silence", rule, detail, tenant=caller.tenant)
    return Json(silence_view(silence))


async def _news(services: Services, place: str) -> AsyncGenerator[bytes]:
    key = kept_of(services).news
    if place == "$":
        newest = await services.client.xrevrange(key, count=1)
        place = newest[0][0].decode() if newest else "0-0"
    yield b"retry: 1000\n: alerts\n\n"
    quiet_s = 0.0
    while not services.hub.is_closed:
        rows = await services.client.xrange(key, f"({place}", "+", count=PAGE)
        for entry_id, raw in rows:
            place = entry_id.decode()
            yield _event(place, raw)
        quiet_s = 0.0 if rows else quiet_s + LOOK_S
        if quiet_s >= HEARTBEAT_S:
            quiet_s = 0.0
            yield b": still here\n\n"
        if len(rows) < PAGE:
            await asyncio.sleep(LOOK_S)
    yield b'event: disconnect\ndata: {"reason":"the server is shutting down"}\n\n'


def _event(entry_id: str, raw: dict[bytes, bytes]) -> bytes:
    fields = news_view(entry_id, raw)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (entry_id.encode(), fields["type"].encode(), orjson.dumps(fields))
