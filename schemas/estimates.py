"""What a job is expected to need, before it is submitted."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class Expected(_Shown):
    """Half of the jobs alike needed no more than `p50`, nine of ten no more than `p90`."""

    p50: float
    p90: float


class Caps(_Shown):
    """What a job and its tenant may spend on language models; None: no cap.

    Attributes:
        tenant_spent_usd: Of this calendar month, UTC, where prices are known.
    """

    job_tokens: int
    job_cost_usd: Decimal | None
    tenant_tokens: int | None
    tenant_cost_usd: Decimal | None
    tenant_spent_tokens: int
    tenant_spent_usd: Decimal


class Estimate(_Shown):
    """From jobs alike that ended here; never a promise.

    Attributes:
        based_on: Ended jobs that it is made from; 0: nothing is known, and the figures are None.
        alike: Whether those are jobs for the same site, or of the flow as a whole.
        pages: Tasks at crawl, each about a page; no more than the job's budget of pages.
        entries: Tasks of all stages.
        duration_s: From the first start to the end.
        cost_usd: Of language models, where their prices are known; 0 when none was asked.
    """

    based_on: int
    alike: Literal["site", "flow", "none"]
    pages: Expected | None = None
    entries: Expected | None = None
    duration_s: Expected | None = None
    cost_usd: Expected | None = None
    caps: Caps
