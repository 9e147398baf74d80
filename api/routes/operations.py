"""Operations, read only: ``/streams /groups /workers /stages``."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth import Reader
from api.fleet import groups, stages, streams, workers
from api.json_response import items
from api.services import services_of

router = APIRouter(tags=["operations"])


@router.get("/streams")
async def list_streams(request: Request, _: Reader) -> Response:
    """Each stage's streams: length, pending, lag and the oldest entry's age, in all and by partition."""
    return items(await streams(services_of(request)))


@router.get("/groups")
async def list_groups(request: Request, _: Reader) -> Response:
    """The consumer groups over the stages' streams, lifecycle and ingest: consumers, pending, lag."""
    return items(await groups(services_of(request)))


@router.get("/workers")
async def list_workers(request: Request, caller: Reader) -> Response:
    """The workers that are there, what they do and what they hold of the caller's tenant."""
    return items(await workers(services_of(request), caller.tenant))


@router.get("/stages")
async def list_stages(request: Request, _: Reader) -> Response:
    """The stages that the installed flows declare, with their policies."""
    return items(stages(services_of(request).flows))
