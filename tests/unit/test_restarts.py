from __future__ import annotations

import pytest

from consumers.supervisor import Restarts


def test_the_first_restart_is_at_once_and_a_crash_loop_backs_off_to_the_cap() -> None:
    restarts = Restarts()
    assert [restarts.delay_s(deaths) for deaths in range(10)] == [0, 0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert restarts.delay_s(10_000) == 30


@pytest.mark.parametrize(
    ("lived_s", "deaths"),
    [(0.0, 4), (4.9, 4), (5.0, 3), (59.9, 3), (60.0, 0), (1e6, 0)],
)
def test_quick_deaths_add_up_until_one_lived_well(lived_s: float, deaths: int) -> None:
    assert Restarts().quick_deaths(3, lived_s) == deaths
