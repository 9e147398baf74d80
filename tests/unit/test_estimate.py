"""What a job is expected to need, from jobs alike."""

from __future__ import annotations

from decimal import Decimal

from api.estimate import expected_of
from consumers.store.past_runs import PastRun
from schemas.estimates import Caps, Expected

CAPS = Caps(
    job_tokens=1, job_cost_usd=None, tenant_tokens=None, tenant_cost_usd=None, tenant_spent_tokens=0,
    tenant_spent_usd=Decimal(0),
)  # fmt: skip


def a_run(site: str, pages: int, took_s: float, cost: str | None = "0.5") -> PastRun:
    return PastRun(
        {"url": f"http://{site}/"}, took_s, {"crawl": pages, "extract": pages}, Decimal(cost) if cost else None
    )


RUNS = [
    a_run("a.example", 10, 20),
    a_run("a.example", 20, 40),
    a_run("a.example", 30, 60),
    a_run("b.example", 100, 500),
]


def test_nothing_is_made_up() -> None:
    told = expected_of([], "a.example", 50, CAPS)
    assert (told.based_on, told.alike, told.pages, told.duration_s) == (0, "none", None, None)


def test_jobs_for_the_same_site_say_more() -> None:
    told = expected_of(RUNS, "a.example", None, CAPS)
    assert (told.based_on, told.alike) == (3, "site")
    assert told.pages == Expected(p50=20, p90=28)
    assert told.entries == Expected(p50=40, p90=56)
    assert told.duration_s == Expected(p50=40, p90=56)
    assert told.cost_usd == Expected(p50=0.5, p90=0.5)


def test_where_there_are_few_the_flow_says_it() -> None:
    told = expected_of(RUNS, "b.example", None, CAPS)
    assert (told.based_on, told.alike) == (4, "flow")
    assert expected_of(RUNS[3:], "", None, CAPS).pages == Expected(p50=100, p90=100)


def test_a_budget_of_pages_bounds_pages_time_and_cost() -> None:
    told = expected_of(RUNS[3:], "b.example", 10, CAPS)
    assert told.pages == Expected(p50=10, p90=10)
    assert told.duration_s == Expected(p50=50, p90=50)
    assert told.cost_usd == Expected(p50=0.05, p90=0.05)


def test_a_cost_that_is_not_known_is_not_told() -> None:
    assert expected_of([*RUNS, a_run("a.example", 1, 1, None)], "a.example", None, CAPS).cost_usd is None
