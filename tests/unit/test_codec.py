"""Entries as they come from Redis, well formed or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import Delivery, deliver
from streams.keys import Keys, StreamName

KEYS = Keys("ns").partition(0)


def entry(**fields: bytes) -> Delivery:
    return deliver(
        KEYS, KEYS.stream("extract", "heavy"), b"1700000000123-4", {k.encode(): v for k, v in fields.items()}, 2
    )


def test_an_entry_reads_back() -> None:
    one = entry(job=b"0-a", task=b"7", flow=b"filings", attempt=b"3", traceparent=b"00-x", data=b'{"v":1}')
    assert (one.job, one.task, one.flow, one.attempt, one.traceparent, one.data) == (
        "0-a", "7", "filings", 3, "00-x", b'{"v":1}',
    )  # fmt: skip
    assert (one.name, one.delivery, one.entry_id) == (StreamName("extract", "heavy"), 2, "1700000000123-4")
    assert one.enqueued_ms == 1_700_000_000_123
    assert not one.is_adoptable


def test_the_flat_list_of_an_older_protocol_is_read_too() -> None:
    one = deliver(KEYS, KEYS.stream("crawl"), b"1-0", [b"job", b"0-a", b"task", b"1"], 1)
    assert (one.job, one.task) == ("0-a", "1")


def test_an_entry_from_outside_may_have_nothing() -> None:
    one = entry()
    assert one.is_adoptable
    assert (one.job, one.task, one.flow, one.attempt, one.traceparent, one.data) == ("", "", "", 1, "", b"")


@pytest.mark.parametrize("attempt", [b"", b"-1", b"x", b"1.5", b"\xb2", b"9" * 5_000])
def test_an_attempt_that_is_no_number_is_the_first(attempt: bytes) -> None:
    assert entry(attempt=attempt).attempt == 1


@given(
    st.dictionaries(st.sampled_from([b"job", b"task", b"flow", b"attempt", b"traceparent", b"data", b"x"]), st.binary())
)
def test_no_entry_keeps_the_reader_from_the_next(fields: dict[bytes, bytes]) -> None:
    one = deliver(KEYS, KEYS.stream("crawl"), b"5-0", fields, 1)
    assert one.data == fields.get(b"data", b"")
