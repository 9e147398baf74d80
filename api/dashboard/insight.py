"""Pages of how much flows, what is too much, and what died of the same; each of what the API answers."""

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.dashboard.pages import older, shown
from api.dashboard.render import page
from api.dashboard.visit import Visit
from api.services import services_of
from consumers.analytics.shown import WINDOWS, fullest_of, summed

router = APIRouter(include_in_schema=False)

LETTERS: Final = 100
IN_SHADOW: Final = 20
"""Jobs of an incident that are tried in shadow."""
ROWS: Final = 200
NEWS: Final = 30


@router.get("/analytics")
async def analytics(request: Request, window: Annotated[str, Query(max_length=8)] = "5m") -> Response:
    """What flowed, how fast, and how much of it failed, in windows."""

    async def show(visit: Visit) -> Response:
        found = await visit.api.get("analytics", window=window)
        return page(visit, "analytics.html", kinds=[one.name for one in WINDOWS], **window_facts(found))

    return await shown(request, show)


def window_facts(found: dict[str, Any]) -> dict[str, Any]:
    """A kind's windows for the page: the fullest by stage, flow and host, and the others as a series. Pure.

    Args:
        found: What ``GET /analytics`` answers.
    """
    now_ms = found["at_ms"] or 0
    fullest = fullest_of(found["windows"], found["window"], now_ms)
    rows = fullest["rows"] if fullest is not None else []
    totals = [(one, *summed(one["rows"], ())) for one in found["windows"]]
    by_host = [row for row in summed(rows, ("host",)) if row["host"]]
    by_stage = {row["stage"]: row for row in summed(rows, ("stage",))}
    ages = {name: max(0.0, (now_ms - one["oldest_ms"]) / 1_000) for name, one in found["queues"].items()}
    opened = [{**one, "age_s": max(0.0, (now_ms - one["oldest_ms"]) / 1_000)} for one in found["open"]]
    return {
        "found": found, "fullest": fullest, "total": next(iter(summed(rows, ())), None), "by_stage": by_stage,
        "by_flow": summed(rows, ("flow",)), "by_host": _busiest(by_host),
        "rows": _busiest(rows), "rows_left": max(0, len(rows) - ROWS), "ages": ages, "open": opened[:ROWS],
        "series": [(one, *total) for one, *total in totals if total],
    }  # fmt: skip


def _busiest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (-row["done"] - row["failed"], row.get("stage", "")))[:ROWS]


@router.get("/alerts")
async def alerts(request: Request) -> Response:
    """What is too much, and who is told."""

    async def show(visit: Visit) -> Response:
        rules, news, found = await asyncio.gather(
            visit.api.get("alerts"), visit.api.get("alerts/news", limit=NEWS), visit.api.get("analytics")
        )
        return page(visit, "alerts.html", alerts=rules["items"], news=news["items"], found=found)

    return await shown(request, show)


@router.get("/incidents")
async def incidents(
    request: Request,
    stage: Annotated[str, Query(max_length=20)] = "",
    flow: Annotated[str, Query(max_length=64)] = "",
    host: Annotated[str, Query(max_length=255)] = "",
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """What died of the same."""
    given = {"stage": stage, "flow": flow, "host": host}

    async def show(visit: Visit) -> Response:
        found = await visit.api.get("dlq/incidents", **given, cursor=cursor)
        flows = sorted(services_of(request).flows.by_name)
        return page(
            visit, "incidents.html", incidents=found["items"], given=given, flows=flows,
            more=older("/incidents", given, found["next"]),
        )  # fmt: skip

    return await shown(request, show)


@router.get("/incidents/{incident_id}")
async def incident(
    request: Request, incident_id: str, cursor: Annotated[str | None, Query(max_length=300)] = None
) -> Response:
    """An incident, and its letters."""

    async def show(visit: Visit) -> Response:
        told = await visit.api.get(f"dlq/incidents/{incident_id}")
        found = await visit.api.get("dlq", incident=told["id"], cursor=cursor, limit=LETTERS)
        jobs = list(dict.fromkeys(one["job"] for one in found["items"] if one["job"]))[:IN_SHADOW]
        return page(
            visit, "incident.html", incident=told, letters=found["items"], jobs=jobs,
            more=older(f"/incidents/{quote(incident_id)}", {}, found["next"]),
        )  # fmt: skip

    return await shown(request, show)
