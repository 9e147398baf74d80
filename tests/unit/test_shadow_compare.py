"""Two results, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.shadow.compare import MOST, Difference, differences


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, [("/a", "changed", 1, True)]),
        ({"a": 1}, {"a": "1"}, [("/a", "changed", 1, "1")]),
        ({"a": None}, {}, [("/a", "removed", None, None)]),
        ({}, {"a/b": 2}, [("/a~1b", "added", None, 2)]),
        ([1, 2], [1, 3, 4], [("/1", "changed", 2, 3), ("/2", "added", None, 4)]),
        ([1, 2], [1], [("/1", "removed", 2, None)]),
        (1, [1], [("/", "changed", 1, [1])]),
        (
            {"rows": [{"id": "a", "v": 1}, {"id": "b", "v": 2}]},
            {"rows": [{"id": "b", "v": 3}, {"id": "c", "v": 4}]},
            [
                ("/rows/id=a", "removed", {"id": "a", "v": 1}, None),
                ("/rows/id=b/v", "changed", 2, 3),
                ("/rows/id=c", "added", None, {"id": "c", "v": 4}),
            ],
        ),
        # An order alone is no difference where the items are told apart.
        ([{"url": "x"}, {"url": "y"}], [{"url": "y"}, {"url": "x"}], []),
        # Where what should tell them apart is there twice, their place does.
        (
            [{"id": "a", "v": 1}, {"id": "a", "v": 2}],
            [{"id": "a", "v": 1}, {"id": "a", "v": 3}],
            [("/1/v", "changed", 2, 3)],
        ),
    ],
)
def test_what_is_different_is_told_by_its_place(before: Any, after: Any, told: list[Any]) -> None:
    assert differences(before, after) == [Difference(*one) for one in told]


def test_what_is_ignored_is_ignored_at_the_top_only() -> None:
    before, after = {"news": 1, "a": {"news": 1}}, {"news": 2, "a": {"news": 2}}
    assert differences(before, after, ignore=frozenset({"news"})) == [Difference("/a/news", "changed", 1, 2)]


def test_there_is_an_end_to_it() -> None:
    assert len(differences(list(range(5_000)), list(range(1, 5_001)))) == MOST
