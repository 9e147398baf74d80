"""Keys and ids: one hash tag a partition, the partition carried by the job id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.names import LANES, POOLS, STAGES
from streams.keys import Keys, StreamName, job_id_for, job_id_from, partition_of


@given(st.text(min_size=1), st.integers(1, 256))
def test_an_identity_always_gives_the_same_job_in_a_partition_that_exists(identity: str, partitions: int) -> None:
    job_id = job_id_for(identity, partitions)
    assert job_id == job_id_for(identity, partitions)
    assert 0 <= partition_of(job_id) < partitions
    assert job_id_from(job_id, partitions) == job_id


def test_partitions_are_all_used() -> None:
    assert {partition_of(job_id_for(str(n), 16)) for n in range(500)} == set(range(16))
    assert {partition_of(job_id_from(f"job-{n}", 16)) for n in range(500)} == set(range(16))


@pytest.mark.parametrize("given_id", ["acme", "acme-2024", "A.b_c-9", "x" * 96, "007-abc", "1234-abc"])
def test_a_callers_own_id_is_kept_behind_its_partition(given_id: str) -> None:
    job_id = job_id_from(given_id, 4)
    assert job_id == f"{partition_of(job_id)}-{given_id}"
    assert job_id_from(job_id, 4) == job_id


@pytest.mark.parametrize(
    "bad", ["", "-x", ".x", "a b", "a/b", "a:b", "a{b}", "a\n", "é", "x" * 97, "job\x00", "../x", "\u0663-abc"]
)
def test_an_id_with_other_characters_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="may have"):
        job_id_from(bad, 4)


def test_an_id_that_names_a_partition_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="partition 7; there are 4"):
        job_id_from("7-abc", 4)


@pytest.mark.parametrize(
    "bad", ["", "abc", "0", "0-", "00-abc", "01-abc", "1000-abc", "0-a b", "0-abc\n", "0-é", "\u0660-a", "1\u0663-a"]
)
def test_what_is_no_job_id_has_no_partition(bad: str) -> None:
    with pytest.raises(ValueError, match="not a job id"):
        partition_of(bad)


@pytest.mark.parametrize(("job_id", "partition"), [("0-a", 0), ("15-5f2a9c0b", 15), ("999-x", 999)])
def test_a_job_id_carries_its_partition(job_id: str, partition: int) -> None:
    assert partition_of(job_id) == partition
    assert Keys("ns").of_job(job_id).job(job_id) == f"ns:{{{partition}}}:job:{job_id}"


def test_stream_names_read_back() -> None:
    names = [StreamName(stage, pool, lane) for stage in STAGES for pool in POOLS for lane in LANES]
    assert [StreamName.parse(str(name)) for name in names] == names
    assert len({str(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("crawl", StreamName("crawl")),
        ("extract.heavy", StreamName("extract", "heavy")),
        ("notify.mail:low", StreamName("notify", "mail", "low")),
        ("crawl:high", StreamName("crawl", lane="high")),
    ],
)
def test_stream_names_are_as_other_systems_write_them(text: str, name: StreamName) -> None:
    assert str(name) == text
    assert StreamName.parse(text) == name


@pytest.mark.parametrize("bad", ["", "lifecycle", "dlq", "crawl:urgent", "job:0-a", "crawler", "Crawl"])
def test_what_is_no_stage_stream_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not a stage stream"):
        StreamName.parse(bad)


def test_the_public_keys_are_as_documented() -> None:
    keys = Keys("millrace", 2)
    one = keys.partition(1)
    assert keys.events == "millrace:events"
    assert keys.outcomes == "millrace:outcomes"
    assert one.stream("crawl") == "millrace:{1}:crawl"
    assert one.stream("extract", "heavy", "low") == "millrace:{1}:extract.heavy:low"
    assert (one.lifecycle, one.dlq) == ("millrace:{1}:lifecycle", "millrace:{1}:dlq")
    assert one.job("1-a") == "millrace:{1}:job:1-a"


def test_every_key_of_a_partition_has_its_hash_tag_and_is_its_own() -> None:
    keys = Keys("ns", 3).partition(2)
    found = [
        *keys.fixed, *(keys.stream(s, p, lane) for s in STAGES for p in POOLS for lane in LANES), keys.job("2-a"),
        *(keys.parked("2-a", s) for s in STAGES), keys.once("2-a"), keys.idempotency("2-a"), keys.sweeper("default"),
    ]  # fmt: skip
    assert all(key.startswith("ns:{2}:") for key in found)
    assert len(set(found)) == len(found)


def test_a_partition_beyond_the_configured_number_still_has_keys() -> None:
    keys = Keys("ns", 1)
    assert len(keys.all_partitions) == 1
    assert keys.of_job("7-old").prefix == "ns:{7}:"
