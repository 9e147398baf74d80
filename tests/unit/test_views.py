"""Jobs as they are shown."""

from __future__ import annotations

from typing import get_args

import pytest

from api.views import OLD_STATUS, event_view, is_over, live_view, old_view
from schemas.jobs import JobStatusName
from streams.record import JobRecord

JOB = "0-5f2a9c0b7d1e4f60a1b2"


def record(**fields: str) -> JobRecord:
    told = {"flow": "noop", "status": "running", "revision": "1", "created_at": "1790000000000", "work": "1", **fields}
    return JobRecord.of(JOB, {name.replace("__", ".").encode(): value.encode() for name, value in told.items()})


@pytest.mark.parametrize(
    ("status", "old"),
    [
        ("queued", "PENDING"), ("running", "STARTED"), ("retrying", "RETRY"), ("succeeded", "SUCCESS"),
        ("partial", "SUCCESS"), ("failed", "FAILURE"), ("expired", "FAILURE"), ("cancelled", "REVOKED"),
    ],
)  # fmt: skip
def test_every_status_has_its_old_name(status: str, old: str) -> None:
    job = live_view(record()).model_copy(update={"status": status, "progress": {"percent": 0.0, "step": ""}})
    job = type(job).model_validate(job.model_dump(warnings=False))
    shown = old_view(job, {"a": 1}, ["a page"] if status == "partial" else [])
    assert shown["status"] == old
    assert shown["result"] == ({"a": 1} if old == "SUCCESS" else None)
    assert ("missing" in shown) is (status == "partial")
    assert bool(shown["error"]) is (old == "FAILURE")


def test_no_status_is_without_an_old_name() -> None:
    assert set(OLD_STATUS) == set(get_args(JobStatusName))


def test_a_running_job_that_tells_its_progress() -> None:
    job = live_view(record(progress__percent="40", progress__step="reading"))
    assert (job.progress.percent, job.progress.step) == (40.0, "reading")
    shown = old_view(job, None, [])
    assert (shown["status"], shown["meta"]["current"], shown["meta"]["step"]) == ("PROGRESS", 40.0, "reading")


def test_progress_is_not_set_back_by_failure_and_complete_at_a_good_end() -> None:
    assert live_view(record(status="failed", progress__percent="40")).progress.percent == 40
    assert live_view(record(status="succeeded", progress__percent="40")).progress.percent == 100


def test_without_a_step_the_first_open_stage_is_one() -> None:
    assert live_view(record(extract__open="3", download__open="1", crawl__open="0")).progress.step == "download"


def test_a_job_whose_tasks_all_wait_for_a_retry_is_retrying() -> None:
    waiting = record(crawl__open="1", delayed="1", task__1="delayed 1790000001000 crawl")
    assert live_view(waiting).status == "retrying"


@pytest.mark.parametrize(
    ("then", "shown"),
    [('{"flow":"noop","spec":{}}', f"{JOB}.then"), ('{"flow":"noop","spec":{},"job_id":"0-b"}', "0-b")],
)
def test_a_follow_up_is_named(then: str, shown: str) -> None:
    assert live_view(record(then=then)).then == shown


def test_a_job_is_over_when_its_notifications_are_done() -> None:
    assert not is_over(record())
    assert not is_over(record(status="succeeded", tail="1"))
    assert is_over(record(status="succeeded", tail="0"))
    assert is_over(record(status="cancelled", work="1", tail="0"))


def test_an_event_keeps_its_payloads_to_itself() -> None:
    fields = {
        "type": "completed", "task": "1", "tenant": "x", "data": "{}", "traceparent": "00-1-1-01", "started_at": "",
        "emitted": '[{"task":2,"stage":"extract","data":{"secret":1}}]', "percent": "12.5",
    }  # fmt: skip
    assert event_view("1790000000123-4", fields) == {
        "id": "1790000000123-4", "at": 1790000000123, "type": "completed", "task": 1, "started_at": None,
        "emitted": [{"task": 2, "stage": "extract"}], "percent": 12.5,
    }  # fmt: skip
