"""How partitions are shared out."""

from itertools import pairwise

import pytest

from streams.shares import shares


@pytest.mark.parametrize("partitions", [1, 2, 4, 16, 17])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 40])
def test_everybody_has_as_much_as_another_and_nothing_is_left(partitions: int, count: int) -> None:
    found = shares([f"w{n}" for n in range(count)], partitions)
    sizes = [len(mine) for mine in found.values()]
    assert set().union(*found.values()) == set(range(partitions))
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    if count <= partitions:
        assert sum(sizes) == partitions, "no partition has two"


def test_the_order_of_the_names_does_not_matter() -> None:
    assert shares(["a", "b", "c", "a"], 16) == shares(["c", "b", "a"], 16)


def test_few_partitions_move_when_a_worker_comes() -> None:
    names = [f"host-{n}" for n in range(9)]
    moved = []
    for before, after in pairwise(range(2, 9)):
        old, new = shares(names[:before], 64), shares(names[:after], 64)
        moved.append(sum(len(old[name] - new[name]) for name in names[:before]))
    assert sum(moved) < 64 * len(moved) / 2, moved


def test_nobody_is_there() -> None:
    assert shares([], 4) == {}
