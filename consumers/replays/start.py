"""Where a replay begins, by what its flow's stages do. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.names import STAGES, WORK_STAGES

if TYPE_CHECKING:
    from consumers.flow import Flow
    from schemas.names import StageName


def start_stage(flow: Flow, wanted: StageName, *, fetch: bool) -> StageName:
    """The first stage that runs again.

    Without `fetch` nothing is fetched: a stage that asks sites, and all before it, give what they gave then. With it,
    the wanted stage runs; where neither it nor a later one asks sites, the last one before it that does.
    """
    order = STAGES.index
    asking = [stage for stage in WORK_STAGES if stage in flow.by_name and flow.by_name[stage].fetches]
    if not asking:
        return wanted
    if fetch:
        return wanted if order(asking[-1]) >= order(wanted) else asking[-1]
    return max(wanted, STAGES[order(asking[-1]) + 1], key=order)
