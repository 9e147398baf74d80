"""What a replay needs of the stores, whatever a payload holds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from consumers.flow import Flows
from consumers.noop import flow as noop
from consumers.replays.prepare import Prepared, check_there, missing_files, prepare
from schemas.replays import ReplayRequest
from streams.blobs import Blobs
from streams.objects import IN_MEMORY
from streams.recorded import NotRecorded, Recorded

SHA = "ab" * 32
REQUEST = ReplayRequest.model_validate({"select": {"flow": "noop"}, "priority": 9})


@pytest.fixture
async def blobs() -> AsyncIterator[Blobs]:
    async with Blobs.open(IN_MEMORY) as opened:
        yield opened


def prepared(data: str, **more: str) -> Prepared:
    recorded = Recorded("0-j")
    for fields in (
        {"type": "submitted", "task": "1", "stage": "crawl", "data": data, "spec": '{"fan_out":2}', **more},
        {"type": "failed", "status": "failed"},
    ):
        recorded.take({"job": "0-j", "flow": "noop", "tenant": "t", **fields})
    return prepare(recorded, REQUEST, Flows([noop]), replay_id="r-1", partitions=1)


def test_the_same_replay_of_the_same_job_is_the_same_job() -> None:
    first, again = prepared('{"v":1}').job, prepared('{"v":1}').job
    assert (first.job_id, first.digest) == (again.job_id, again.digest)
    assert (first.origin, first.replay, first.lane, first.tenant) == ("0-j", "r-1", "high", "t")


def test_where_it_was_to_end_it_ends_again() -> None:
    assert prepared("{}", until_stage="download").job.until_stage == "download"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param('{"v":1,"text":"\\"$claim\\":\\"' + SHA + '\\""}', id="it speaks of a claim check"),
        pytest.param('{"v":1,"inner":{"$claim":"' + SHA + '"}}', id="it has one inside"),
        pytest.param('{"v":1,"$claim":"nonsense"}', id="it has a wrong one"),
        pytest.param("not JSON", id="it is no JSON"),
        pytest.param("", id="it is empty"),
    ],
)
async def test_what_only_looks_like_a_payload_that_was_put_aside_is_no_hindrance(blobs: Blobs, data: str) -> None:
    ready = prepared(data)
    await check_there(ready, blobs, None)
    assert await missing_files(ready, blobs) == 0
    assert ready.cut.size_bytes >= 0


async def test_what_was_put_aside_must_be_there(blobs: Blobs) -> None:
    sha = await blobs.chunks.put_claim(b"x" * 100, tenant="t")
    await check_there(prepared(f'{{"v":1,"$claim":"{sha}","size_bytes":100}}'), blobs, None)
    with pytest.raises(NotRecorded, match="is gone") as raised:
        await check_there(prepared(f'{{"v":1,"$claim":"{SHA}","size_bytes":100}}'), blobs, None)
    assert raised.value.reason == "payload_gone"


async def test_files_that_are_gone_are_counted(blobs: Blobs) -> None:
    kept = await blobs.put(b"%PDF", tenant="t", content_type="application/pdf")
    data = f'{{"v":1,"files":[{{"sha256":"{kept.sha256}"}},{{"sha256":"{SHA}"}},{{"sha256":"short"}}]}}'
    assert await missing_files(prepared(data), blobs) == 1
