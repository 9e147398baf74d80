"""What the API answers for what went wrong."""

from __future__ import annotations

import pytest
from redis.exceptions import ClusterDownError, ConnectionError, SlotNotCoveredError  # noqa: A004 - redis's own name

from api.problems import problem_of
from streams.errors import Refused
from streams.pauses import BadPause
from streams.scripts import Code


@pytest.mark.parametrize(
    ("error", "name", "status"),
    [
        (SlotNotCoveredError("slot 7 is not covered"), "unavailable", 503),  # a redis-py error that is no RedisError
        (ClusterDownError("down"), "unavailable", 503),
        (ConnectionError("gone"), "unavailable", 503),
        (Refused("too often", code=Code.QUARANTINED), "quarantined", 409),
        (BadPause("no such stage"), "invalid-request", 422),
    ],
)
def test_what_is_foreseen_has_a_problem(error: Exception, name: str, status: int) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert (problem.name, problem.status) == (name, status)


def test_a_surprise_has_none() -> None:
    assert problem_of(KeyError("x")) is None
