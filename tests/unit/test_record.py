"""A job's live record as it is read."""

from __future__ import annotations

from streams.record import JobRecord, TaskPlace
from streams.states import JobStatus


def record(**fields: str) -> JobRecord:
    given = {"status": "running", "flow": "f", "revision": "1", **fields}
    return JobRecord.of("0-a", {name.replace("__", ".").encode(): value.encode() for name, value in given.items()})


def test_the_register_reads_back() -> None:
    assert TaskPlace.parse("extract.heavy:high 5-1") == TaskPlace(
        "queued", "extract.heavy:high", "5-1", stage="extract"
    )
    assert TaskPlace.parse("crawl 5-1 again") == TaskPlace("queued", "crawl", "5-1", stage="crawl")
    assert TaskPlace.parse("crawl 5-1 run 1700 w-1 2") == TaskPlace(
        "running", "crawl", "5-1", since_ms=1700, worker="w-1", delivery=2, stage="crawl"
    )
    assert TaskPlace.parse("delayed 1700 download") == TaskPlace("delayed", due_ms=1700, stage="download")
    assert TaskPlace.parse("dead 9-0") == TaskPlace("dead", entry_id="9-0")


def test_what_waits_is_queued_or_delayed_and_no_notification() -> None:
    job = record(
        task__1="crawl 5-1 run 17 w 1", task__2="crawl 5-2", task__3="delayed 9 extract", task__4="notify 5-3",
        task__5="dead 8-1", task__6="delayed 9 notify",
    )  # fmt: skip
    assert [task for task, _ in job.waiting_tasks()] == [2, 3]


def test_stages_are_those_that_were_reached() -> None:
    job = record(crawl__done="2", download__open="1", download__failed="0")
    assert job.stages() == {
        "crawl": {"open": 0, "done": 2, "failed": 0}, "download": {"open": 1, "done": 0, "failed": 0}
    }  # fmt: skip


def test_a_job_whose_open_tasks_all_wait_is_retrying() -> None:
    assert record(crawl__open="1", delayed="1", task__1="delayed 9 crawl").status is JobStatus.RETRYING
    assert record(crawl__open="1").status is JobStatus.RUNNING


def test_a_sparse_record_reads() -> None:
    job = record()
    assert (job.tenant, job.lane, job.trace_id, job.spec, job.created_ms) == ("default", "normal", "", {}, 0)
    assert record(traceparent="00-abc-def-01").trace_id == "abc"
    assert record(lane="low").lane == "low"
