"""When schedules tick, and what becomes of missed runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consumers.schedules.ticks import due, next_tick, ticks_after
from schemas.schedules import ScheduleRequest, Timing

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(count: int, after: str, **timing: Any) -> list[str]:
    found = islice(ticks_after(Timing(**timing), ANCHOR, at(after)), count)
    return [f"{one:%Y-%m-%d %H:%M:%S}" for one in found]


def test_an_interval_is_counted_from_the_schedules_making() -> None:
    assert ticks(2, "2026-01-01 00:00:00", every_s=90) == ["2026-01-01 00:01:30", "2026-01-01 00:03:00"]
    assert ticks(1, "2026-01-01 00:03:00", every_s=90) == ["2026-01-01 00:04:30"]
    assert ticks(1, "2025-12-01 00:00:00", every_s=90) == ["2026-01-01 00:01:30"]


@pytest.mark.parametrize(
    ("after", "cron", "expected"),
    [
        pytest.param(
            "2026-03-28 12:00:00", "30 2 * * *", ["2026-03-29 01:00:00", "2026-03-30 00:30:00"],
            id="what falls into the hour left out comes right after it",
        ),
        pytest.param(
            "2026-10-24 12:00:00", "30 2 * * *", ["2026-10-25 00:30:00", "2026-10-26 01:30:00"],
            id="what falls into the hour that comes twice comes once",
        ),
        pytest.param(
            "2026-10-25 00:30:00", "30 2 * * *", ["2026-10-26 01:30:00"], id="and not a second time in the second hour",
        ),
        pytest.param(
            "2026-10-25 01:10:00", "45 2 * * *", ["2026-10-26 01:45:00"], id="asked within the second hour",
        ),
        pytest.param(
            "2026-10-25 00:15:00", "*/30 * * * *",
            ["2026-10-25 00:30:00", "2026-10-25 01:00:00", "2026-10-25 01:30:00", "2026-10-25 02:00:00"],
            id="each half hour goes on through it",
        ),
        pytest.param("2026-03-29 00:45:00", "0,30 2 * * *", ["2026-03-29 01:00:00", "2026-03-30 00:00:00"],
                     id="two that become one instant are one tick"),
        pytest.param("2026-06-30 12:00:00", "0 9 1 * *", ["2026-07-01 07:00:00"], id="summer time"),
        pytest.param("2026-12-31 12:00:00", "0 9 1 * *", ["2027-01-01 08:00:00"], id="winter time"),
    ],
)  # fmt: skip
def test_a_time_of_day_follows_the_clocks_of_its_zone(after: str, cron: str, expected: list[str]) -> None:
    assert ticks(len(expected), after, cron=cron, time_zone="Europe/Berlin") == expected


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "15 1-3 * * *", "0 */2 * * *", "30 2 * * SUN", "0 0 1 * *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.integers(0, 275 * 86_400).map(lambda seconds: at("2026-03-01 00:00:00") + timedelta(seconds=seconds)),
)
def test_ticks_rise_and_none_is_left_out_by_asking_again(cron: str, zone: str, after: datetime) -> None:
    timing = Timing(cron=cron, time_zone=zone)
    found = list(islice(ticks_after(timing, ANCHOR, after), 6))
    assert found[0] > after
    for one, following in pairwise(found):
        assert one < following
        assert next_tick(timing, ANCHOR, one) == following


@pytest.mark.parametrize(
    ("missed", "now", "run", "left_out"),
    [
        ("skip", "2026-01-01 03:00:30", ["03:00"], 0),
        ("skip", "2026-01-01 06:00:30", ["06:00"], 3),
        ("skip", "2026-01-01 06:10:00", [], 4),
        ("run_once", "2026-01-01 06:10:00", ["06:00"], 3),
        ("run_all", "2026-01-01 06:10:00", ["04:00", "05:00", "06:00"], 1),
        ("run_all", "2026-01-01 04:10:00", ["03:00", "04:00"], 0),
    ],
)
@pytest.mark.parametrize("timing", [{"cron": "0 * * * *"}, {"every_s": 3_600}])
def test_what_was_missed_is_run_by_policy(
    timing: dict[str, Any], missed: str, now: str, run: list[str], left_out: int
) -> None:
    plan = Timing.model_validate({**timing, "missed": missed, "missed_most": 3})
    found = due(plan, ANCHOR, at("2026-01-01 03:00:00"), at(now))
    assert [f"{tick:%H:%M}" for tick in found.run] == run
    assert found.missed == left_out
    assert found.next_at == at(now).replace(minute=0, second=0) + timedelta(hours=1)


def test_after_a_year_away_not_every_second_is_counted() -> None:
    plan = Timing(every_s=1, missed="run_all", missed_most=2)
    found = due(plan, ANCHOR, at("2026-01-01 00:00:01"), at("2027-01-01 00:00:00"))
    assert found.run == (at("2026-12-31 23:59:59"), at("2027-01-01 00:00:00"))
    assert found.next_at == at("2027-01-01 00:00:01")
    yearly = Timing(cron="0 0 1 1 *")
    assert due(yearly, ANCHOR, at("2026-01-01 00:00:00"), at("2026-11-01 00:00:00")).run == (ANCHOR,)


@pytest.mark.parametrize(
    ("timing", "said"),
    [
        ({}, "either cron or every_s"),
        ({"cron": "* * * * *", "every_s": 5}, "either cron or every_s"),
        ({"cron": "61 * * * *"}, "no cron expression"),
        ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "0 0 30 2 *"}, "no cron expression"),
        ({"every_s": 0}, "greater than or equal to 1"),
        ({"every_s": 5, "time_zone": "Mars/Olympus"}, "IANA time zone"),
        ({"every_s": 5, "time_zone": "../../etc/passwd"}, "IANA time zone"),
    ],
)
def test_what_is_no_timing_is_refused(timing: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Timing(**timing)


@pytest.mark.parametrize("field", ["job_id", "run_at", "expires_at"])
def test_the_time_of_a_job_is_the_schedules_to_say(field: str) -> None:
    job = {"flow": "noop", "spec": {}, field: "2026-01-01T00:00:00Z"}
    with pytest.raises(ValidationError, match=rf"job\.{field} cannot be given"):
        ScheduleRequest.model_validate({"name": "x", "every_s": 5, "job": job})
