"""How many processes a backlog makes of a tree."""

from api.autoscale import BEHIND_LOOKS, IDLE_LOOKS, Autoscale


def changes(looks: int, scaling: Autoscale, processes: int, waiting: int, in_hand: int) -> list[int]:
    return [scaling.look(processes, waiting, in_hand) for _ in range(looks)]


def test_what_waits_twice_makes_one_more_until_there_are_enough() -> None:
    assert changes(BEHIND_LOOKS, Autoscale(1, 3), 1, 10, 256) == [0, 1]
    assert changes(4, Autoscale(1, 3), 2, 10, 256) == [0, 1, 0, 1]
    assert changes(5, Autoscale(1, 3), 3, 10, 256) == [0] * 5


def test_a_ripple_makes_none() -> None:
    scaling = Autoscale(1, 3)
    assert [scaling.look(1, waiting, 5) for waiting in (3, 0, 4, 0, 2, 0)] == [0] * 6


def test_idle_for_long_makes_one_less_down_to_the_least() -> None:
    assert changes(IDLE_LOOKS, Autoscale(1, 3), 3, 0, 0) == [0] * (IDLE_LOOKS - 1) + [-1]
    assert changes(IDLE_LOOKS * 2, Autoscale(1, 3), 1, 0, 0) == [0] * (IDLE_LOOKS * 2)
    assert changes(IDLE_LOOKS * 2, Autoscale(1, 3), 2, 0, 2) == [0] * (IDLE_LOOKS * 2)
