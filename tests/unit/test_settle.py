"""How many settlements go into one script call."""

from __future__ import annotations

import pytest

from consumers.worker.settle import EMISSIONS, Released, Settlement, fitting
from streams.codec import Delivery
from streams.keys import Keys, StreamName
from streams.moves import Completion, Emission

ENTRY = Delivery(
    Keys("t").partition(0), "t:{0}:crawl", StreamName("crawl"), "1-0", 1, "0-a", "1", "noop", 1, "", b"{}", {}
)


def completion(emissions: int) -> Completion:
    return Completion(ENTRY, tuple(Emission("extract", b"{}") for _ in range(emissions)))


@pytest.mark.parametrize(
    ("settlements", "count"),
    [
        ([], 0),
        ([completion(1)] * 128, 128),
        ([completion(EMISSIONS)] * 128, 1),
        ([completion(10 * EMISSIONS), completion(0)], 1),
        ([completion(0)] * 5 + [completion(EMISSIONS)] * 2, 6),
        ([Released()] * 3 + [completion(EMISSIONS // 2)] * 3, 5),
    ],
)
def test_entries_that_emit_much_do_not_share_a_call(settlements: list[Settlement], count: int) -> None:
    assert fitting(settlements) == count
