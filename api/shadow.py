"""Shadow replays: chosen jobs with today's code, with no effect outside."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from consumers.bundle.export import Sources
from consumers.flow import UnknownFlow
from consumers.replays.select import Selection
from consumers.shadow import gathered, shadow
from consumers.shadow.compare import MOST
from schemas.shadows import ShadowView
from streams.errors import PermanentError
from streams.recorded import NotRecorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.services import Services
    from consumers.replays.gather import Chosen
    from schemas.replays import ReplayRequest

MOST_JOBS: Final = 1_000
"""Jobs of one shadow replay."""

PAGE: Final = 50


async def shadows(
    services: Services, asked: ReplayRequest, tenant: str, *, most: int = MOST_JOBS
) -> AsyncIterator[ShadowView]:
    """The shadow of each chosen job, one after the other.

    Args:
        services: Where the jobs are.
        asked: Which, and from which stage; the rest of it does not matter here.
        tenant: Whose jobs.
        most: Jobs at most.

    Raises:
        TransientError: A store is away.
    """
    selection = Selection(services.log, services.store, asked.select, tenant=tenant, until=datetime.now(UTC))
    cursor, done = "", 0
    while done < most:
        page = await selection.page(cursor, min(PAGE, most - done))
        for chosen in page.jobs:
            yield await _one(services, asked, chosen)
            done += 1
        if page.next is None:
            return
        cursor = page.next


async def _one(services: Services, asked: ReplayRequest, chosen: Chosen) -> ShadowView:
    sources = Sources(services.log, services.blobs, services.store, services.flows)
    shown: dict[str, Any] = {"job_id": chosen.job_id, "flow": chosen.flow, "was": chosen.status}
    try:
        original = await gathered(sources, chosen, asked.from_stage)
    except (NotRecorded, PermanentError, UnknownFlow) as error:
        return ShadowView(
            **shown, from_stage=asked.from_stage, status="impossible", is_same=False, compared=False, entries=0,
            error=str(error),
        )  # fmt: skip
    found = await shadow(original, services.flows.get(chosen.flow), services.settings)
    return ShadowView.model_validate(
        {
            **shown, "from_stage": original.from_stage, "status": found.status, "is_same": found.is_same,
            "compared": found.compared, "entries": found.entries, "error": found.error,
            "changes": [asdict(one) for one in found.changes], "more": len(found.changes) >= MOST,
            "effects": found.effects,
        }
    )  # fmt: skip
