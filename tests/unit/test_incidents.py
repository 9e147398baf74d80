"""Dead letters grouped into incidents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from streams.incidents import fingerprint_of, grouped
from streams.log import DeadLetter

TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\n'


def letter(ms: int, **fields: Any) -> DeadLetter:
    row = {
        "job": "0-a",
        "stage": "extract",
        "flow": "audit",
        "reason": "error",
        "data": '{"url":"https://A.example/x"}',
    }
    return DeadLetter(f"0-{ms}-0", {**row, **{name: str(value) for name, value in fields.items()}})


@pytest.mark.parametrize(
    ("traceback", "error"),
    [
        ("", "error"),
        (f"{TRACE}ValueError: no\n", "ValueError"),
        (f"{TRACE}consumers.net.errors.TooLarge: 9 MB\nwhich: is more\n", "TooLarge"),
        (f"{TRACE}KeyboardInterrupt\n", "KeyboardInterrupt"),
        (f"{TRACE}ExceptionGroup: two (2 sub-exceptions)\n  | ValueError: a\n", "ExceptionGroup"),
        ("no traceback at all", "error"),
    ],
)
def test_the_error_type_is_what_was_raised_or_the_reason(traceback: str, error: str) -> None:
    found = fingerprint_of(letter(1, traceback=traceback)).error
    if "TooLarge" in traceback:
        # A message of several lines may look like a class: then the group is finer, never coarser.
        assert found in {error, "which"}
    else:
        assert found == error


@pytest.mark.parametrize("other", [{"stage": "crawl"}, {"flow": "leads"}, {"reason": "x"}, {"data": "{}"}])
def test_what_differs_is_another_incident(other: dict[str, str]) -> None:
    assert fingerprint_of(letter(1)).id != fingerprint_of(letter(1, **other)).id
    assert fingerprint_of(letter(1)).id == fingerprint_of(letter(2, job="0-b", task=7)).id


async def test_an_incident_tells_since_when_how_many_jobs_and_whose() -> None:
    async def letters() -> AsyncIterator[tuple[DeadLetter, str]]:
        yield letter(50, job="0-c", redriven=5), "b"
        yield letter(40, job="0-a"), "a"
        yield letter(30, job="0-a"), "a"
        yield letter(20, job="", stage="crawl"), ""
        yield letter(10, job="0-d"), "a"

    found = await grouped(letters(), max_redrives=5)
    big, stray = found.incidents
    assert (big.letters, big.quarantined, big.first_ms, big.last_ms) == (4, 1, 10, 50)
    assert big.jobs == {"a": 2, "b": 1}
    assert big.newest.dead_id == "0-50-0"
    assert (stray.letters, stray.jobs) == (1, {"": 0})
    assert not found.is_cut
    cut = await grouped(letters(), max_redrives=5, look_at=2)
    assert (cut.is_cut, [one.letters for one in cut.incidents]) == (True, [2])
