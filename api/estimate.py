"""What a job will need, from what jobs alike needed. The figures are pure; one query asks history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import quantiles
from typing import TYPE_CHECKING, Final

import orjson

from consumers.store.past_runs import PastRun
from schemas.estimates import Caps, Estimate, Expected
from streams.codec import host_of

if TYPE_CHECKING:
    from api.services import Services

ENOUGH: Final = 3
"""Jobs for the same site that say more than those of the whole flow."""


async def estimate(
    services: Services, *, flow: str, tenant: str, spec: bytes, budgets: Mapping[str, int]
) -> Estimate | None:
    """The estimate for a job; None without a database.

    Args:
        services: With history.
        flow: Of the job.
        tenant: Whose.
        spec: As it would be submitted.
        budgets: As the flow makes them of the spec.
    """
    if services.database is None:
        return None
    settings = services.settings
    spent = await services.database.llm.spent_this_month(tenant)
    caps = Caps(
        job_tokens=settings.llm_job_tokens, job_cost_usd=settings.llm_job_cost,
        tenant_tokens=settings.llm_tenant_tokens, tenant_cost_usd=settings.llm_tenant_cost,
        tenant_spent_tokens=spent.tokens, tenant_spent_usd=spent.cost_usd or 0,
    )  # fmt: skip
    runs = await services.database.past_runs.of(flow, tenant=tenant)
    return expected_of(runs, host_of(spec), budgets.get("pages"), caps)


def expected_of(runs: Sequence[PastRun], host: str, page_budget: int | None, caps: Caps) -> Estimate:
    """From past jobs, those for the same site where there are enough.

    Time and entries are taken as they were, but for jobs that may have fewer pages than those had: they are scaled
    down by the pages. A job is never expected to be larger than what was seen.
    """
    if not runs:
        return Estimate(based_on=0, alike="none", caps=caps)
    near = [run for run in runs if host and host_of(orjson.dumps(run.spec)) == host]
    chosen = near if len(near) >= ENOUGH else list(runs)

    def scaled(of: Callable[[PastRun], float]) -> Expected:
        return _expected([of(run) * _share(run, page_budget) for run in chosen])

    costs = [run.cost_usd for run in chosen]
    return Estimate(
        based_on=len(chosen), alike="site" if chosen is near else "flow",
        pages=scaled(lambda run: run.entries.get("crawl", 0)), entries=scaled(lambda run: sum(run.entries.values())),
        duration_s=scaled(lambda run: run.took_s),
        cost_usd=scaled(lambda run: float(run.cost_usd or 0)) if None not in costs else None, caps=caps,
    )  # fmt: skip


def _share(run: PastRun, page_budget: int | None) -> float:
    pages = run.entries.get("crawl", 0)
    return 1.0 if page_budget is None or pages <= page_budget else page_budget / pages


def _expected(values: Sequence[float]) -> Expected:
    cuts = quantiles(values, n=10, method="inclusive") if len(values) > 1 else [values[0]] * 9
    return Expected(p50=round(cuts[4], 4), p90=round(cuts[8], 4))
