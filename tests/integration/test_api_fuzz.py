"""Requests made at random: whatever comes, the answer is one that the contract has, and never a failure of ours."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from api.routes.dlq import RetryRequest
from schemas.jobs import JobRequest
from tests.support.api_place import ApiPlace

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 10**40, 0.5, "", "x", "\x00", "é" * 300, "0-a", "../..", "http://example.com/",
    "http://10.0.0.1/", [], [[]], {}, {"": ""}, {"url": "http://[::1]/"}, "2030-01-01T00:00:00Z", "crawl", "notify",
    "high", "noop", "probe", {"flow": "noop", "spec": {}}, {"webhook": "https://example.com/"}, {"email": ["a@b"]},
)  # fmt: skip
EVENT_FIELDS = ("specversion", "id", "source", "type", "data", "data_base64", "datacontenttype", "traceparent", "extra")
EVENT_VALUES = (*ODD, "1.0", "millrace.job.submit", "millrace.job.cancel", {"job_id": "0-a"})


@pytest.mark.parametrize("seed", range(3))
async def test_anything_may_be_sent(place: ApiPlace, seed: int) -> None:
    made = random.Random(seed)  # noqa: S311 - to be repeated
    for _ in range(150):
        body = {name: made.choice(ODD) for name in JobRequest.model_fields if made.random() < 0.3}
        body |= {"flow": made.choice(["noop", "probe", "x"]), "spec": made.choice([{}, {"url": made.choice(ODD)}])}
        event = {name: made.choice(EVENT_VALUES) for name in EVENT_FIELDS if made.random() < 0.8}
        asked = {name: made.choice(ODD) for name in RetryRequest.model_fields if made.random() < 0.3}
        stopped = {name: made.choice(ODD) for name in ("stage", "flow", "host", "tenant", "reason", "force", "dry_run")}
        some = {name: value for name, value in stopped.items() if made.random() < 0.3}
        for path, sent, headers in (
            (made.choice(("dlq/retry", "dlq/drop", "dlq/0-1-1/edit")), asked, {"Content-Type": "application/json"}),
            (made.choice(("pauses", "purge", "workers/x/drain")), some, {"Content-Type": "application/json"}),
            ("jobs", body, {"Content-Type": "application/json"}),
            ("jobs?dry_run=true", body, {"Content-Type": "application/json"}),
            ("events", event, {"Content-Type": "application/cloudevents+json"}),
            ("events", [event, made.choice(ODD)], {"Content-Type": "application/cloudevents-batch+json"}),
            ("events", made.choice(ODD), {"Content-Type": "application/json", "ce-type": "millrace.job.submit"}),
        ):
            data = orjson.dumps(sent, default=str) if _fits(sent) else b"{"
            answer = await place.call("POST", path, data=data, headers=headers)
            assert answer.status in {200, 201, 202, 207, 400, 404, 409, 422}, (path, sent, answer.body)
            for item in answer.body.get("items", ()) if answer.status == 207 else ():
                assert item["status"] in {202, 400, 404, 409, 422}, (sent, item)


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True
