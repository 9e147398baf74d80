"""What is trimmed when, and in which order the archive is read."""

from __future__ import annotations

import orjson
import pytest

from streams import archive
from streams.archive import _sortable, claims_in, overlapping
from streams.archiver import pause_s
from streams.blobs import Blobs
from streams.objects import IN_MEMORY
from streams.retention import cutoff_ms

DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("size_bytes", "max_age_s", "expected"),
    [
        pytest.param(100, 86_400, NOW_MS - DAY_MS, id="by age"),
        pytest.param(1_000, 86_400, NOW_MS - DAY_MS, id="just not too much"),
        pytest.param(0, 86_400, NOW_MS - DAY_MS, id="empty"),
        pytest.param(2_000, 30 * 86_400, NOW_MS - 5 * DAY_MS, id="half is too much"),
        pytest.param(4_000, 30 * 86_400, NOW_MS - 2.5 * DAY_MS, id="three quarters are too much"),
        pytest.param(2_000, 86_400, NOW_MS - DAY_MS, id="age takes more"),
        pytest.param(2_000, 8 * 86_400, NOW_MS - 5 * DAY_MS, id="size takes more"),
    ],
)
def test_the_cut_off_is_the_later_of_age_and_size(size_bytes: int, max_age_s: int, expected: float) -> None:
    first_ms = NOW_MS - 10 * DAY_MS
    found = cutoff_ms(first_ms, NOW_MS, size_bytes, max_bytes=1_000, max_age_s=max_age_s, now_ms=NOW_MS)
    assert found == pytest.approx(expected, abs=1)


def test_the_cut_off_never_passes_the_last_entry_by_size() -> None:
    found = cutoff_ms(NOW_MS, NOW_MS + 9, 1 << 60, max_bytes=1, max_age_s=60, now_ms=NOW_MS + 10)
    assert NOW_MS <= found <= NOW_MS + 9


@pytest.mark.parametrize(
    ("behind_s", "share", "expected"),
    [
        pytest.param(1, 0.1, 1.0, id="no hurry"),
        pytest.param(601, 0.1, 0.0, id="too old"),
        pytest.param(1, 0.51, 0.0, id="too much"),
    ],
)
def test_archiving_rests_unless_it_is_behind(behind_s: float, share: float, expected: float) -> None:
    assert pause_s(0.01, behind_s=behind_s, share=share) == pytest.approx(expected)


def test_claim_checks_are_found_however_often_they_were_quoted() -> None:
    sha = "0f" * 32
    plain = f'{{"v":1,"$claim":"{sha}","size_bytes":70000}}'
    quoted = orjson.dumps([1, "f", "", plain]).decode()
    assert claims_in([plain]) == claims_in([quoted]) == claims_in([orjson.dumps(quoted).decode()]) == {sha}
    assert claims_in(["", '{"claim":"' + sha + '"}', '{"$claim":"12"}']) == set()


async def test_who_reads_page_by_page_lists_a_day_once_until_told_to_forget() -> None:
    async with Blobs.open(IN_MEMORY) as blobs:
        chunks, opened = blobs.chunks, archive.Opened(most=1)

        async def ids() -> list[str]:
            return [entry_id async for entry_id, _ in archive.read(chunks, "n", 0, opened=opened)]

        for at in (1, 2):
            await archive.write(chunks, "n", 0, [(f"{at}-0", {"type": "started", "job": "0-a"})])
            assert await ids() == ["1-0"]
        opened.forget()
        assert await ids() == ["1-0", "2-0"]


def key(first: str, last: str) -> str:
    return f"archive/millrace/0/1970-01-01/{_sortable(first)}_{_sortable(last)}.jsonl.zst"


def test_keys_sort_as_entry_ids_do() -> None:
    ids = ["0-1", "9-0", "10-0", "999-99", "999-100", "1790000000000-0", "1790000000000-9", "1790000000000-10"]
    assert sorted(map(_sortable, ids)) == [_sortable(one) for one in ids]


def test_keys_that_do_not_overlap_are_read_one_by_one_in_order() -> None:
    keys = [key(f"{n}-0", f"{n + 9}-5") for n in range(0, 200, 10)]
    keys.append(key("209-6", "209-6"))
    mixed = keys[1::2] + keys[::-2]
    assert overlapping(mixed) == [[one] for one in keys]
    assert overlapping([]) == []


def test_keys_that_overlap_are_read_together() -> None:
    around, within, repeated = key("1-0", "50-0"), key("11-0", "20-0"), key("11-0", "30-0")
    touching, after = key("50-0", "60-0"), key("60-1", "60-1")
    assert overlapping([after, touching, repeated, within, around]) == [[around, within, repeated, touching], [after]]
