"""Policy: what follows a failure, and how lanes share the slots."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import MalformedEntry, PermanentError, TransientError
from streams.policy import (
    LANE_WEIGHTS,
    AtOnce,
    Bury,
    RateLimit,
    Retry,
    RetryPolicy,
    StagePolicy,
    lane_shares,
    limit_key,
    next_delay_s,
    on_crashes,
    on_failure,
)

units = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10_000), units, st.floats(0.001, 1e4), st.floats(0.001, 1e5))
def test_a_delay_is_never_beyond_its_cap(attempt: int, unit: float, base_s: float, cap_s: float) -> None:
    assert 0 <= next_delay_s(attempt, RetryPolicy(base_s=base_s, cap_s=cap_s), unit) <= cap_s


@pytest.mark.parametrize(("attempt", "ceiling_s"), [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (50, 60), (5_000, 60)])
def test_the_ceiling_doubles_up_to_the_cap(attempt: int, ceiling_s: float) -> None:
    policy = RetryPolicy(base_s=2, cap_s=60)
    assert next_delay_s(attempt, policy, 0.0) == 0, "full jitter begins at nought"
    assert next_delay_s(attempt, policy, 0.5) == ceiling_s / 2
    assert next_delay_s(attempt, policy, 0.999_999) == pytest.approx(ceiling_s, rel=1e-5)


class SiteClosed(Exception):  # noqa: N818 - what happened
    """A surprise that a stage knows."""


STAGE = StagePolicy(retry=RetryPolicy(max_attempts=3, base_s=1, cap_s=10), never_retry=(SiteClosed, ZeroDivisionError))


@pytest.mark.parametrize(
    ("error", "attempt", "expected"),
    [
        (TransientError("x", reason="http_503"), 1, Retry(0.5, "http_503")),
        (TransientError("x", reason="http_503"), 2, Retry(1.0, "http_503")),
        (TransientError("x", reason="http_503"), 3, Bury("http_503")),
        (TransientError("x", reason="http_429", retry_after_s=120), 1, Retry(120, "http_429")),
        (TransientError("x", reason="http_429", retry_after_s=0), 1, Retry(0.5, "http_429")),
        (TransientError("x", reason="http_429", retry_after_s=120), 3, Bury("http_429")),
        (PermanentError("x", reason="http_403"), 1, Bury("http_403")),
        (MalformedEntry("x", reason="bad_json"), 1, Bury("bad_json")),
        (SiteClosed(), 1, Bury("SiteClosed")),
        (ZeroDivisionError(), 1, Bury("ZeroDivisionError")),
        (RuntimeError("x"), 1, Retry(0.5, "RuntimeError")),
        (RuntimeError("x"), 4, Bury("RuntimeError")),
    ],
)
def test_what_follows_a_failure(error: Exception, attempt: int, expected: Retry | Bury) -> None:
    assert on_failure(error, attempt, STAGE, 0.5) == expected


def test_a_task_under_which_workers_die_is_poison() -> None:
    policy = RetryPolicy(max_crashes=3)
    assert [on_crashes(crashes, policy) for crashes in range(5)] == [None, None, None, Bury("poison"), Bury("poison")]


def test_a_process_is_replaced_sooner_where_it_leaks_more() -> None:
    assert [StagePolicy(pool=pool).recycle_after for pool in ("browser", "heavy", "default", "mail")] == [
        100, 50, 1_000, 1_000,
    ]  # fmt: skip


@given(st.integers(20, 5_000), st.integers(0, 1_000))
def test_with_slots_for_all_no_lane_starves_and_none_is_overdrawn(free: int, turn: int) -> None:
    shares = dict(lane_shares(free, turn))
    total = sum(LANE_WEIGHTS.values())
    assert sum(shares.values()) <= free
    for lane, weight in LANE_WEIGHTS.items():
        assert shares[lane] >= max(1, free * weight // total)


@given(st.integers(1, 19), st.integers(0, 10_000))
def test_with_few_slots_every_lane_is_first_by_its_weight(free: int, start: int) -> None:
    total = sum(LANE_WEIGHTS.values())
    turns = [lane_shares(free, start + n) for n in range(total)]
    assert Counter(shares[0][0] for shares in turns) == LANE_WEIGHTS
    for shares in turns:
        assert {lane for lane, _ in shares} == set(LANE_WEIGHTS), "the others are asked when the first is empty"
        assert all(1 <= count <= free for _, count in shares)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("example.com", "host:example.com"), (None, None), ("a b", "host:c8687a08aa5d6ed2044328fa6a697ab8")],
)
def test_what_a_limit_is_kept_under(value: str | None, expected: str | None) -> None:
    assert limit_key(AtOnce("host", 2, by=lambda payload: payload), value) == expected
    assert limit_key(RateLimit("host", 2, 1.0), value) == "host"


@pytest.mark.parametrize("value", ["}:permits", "x" * 500, "\N{SNOWMAN} {", ""])
def test_a_value_from_outside_stays_within_its_key(value: str) -> None:
    key = limit_key(AtOnce("host", 2, by=lambda payload: payload), value)
    assert key is not None
    assert len(key) <= 200
    assert not set("{} ") & set(key)


@pytest.mark.parametrize(
    ("name", "count", "per_s"), [("", 1, 1.0), ("a{b}", 1, 1.0), ("Mail", 1, 1.0), ("mail", 0, 1.0), ("mail", 1, 0.0)]
)
def test_a_limit_that_is_none_is_refused(name: str, count: int, per_s: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        RateLimit(name, count, per_s)
