"""CloudEvents over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from api.keys import ApiKeys
from schemas.events import CANCEL, SUBMIT
from tests.support.api_place import Answer, ApiPlace

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def event(**fields: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": "e-1", "source": "/orders", "type": SUBMIT,
        "data": {"flow": "probe", "spec": {}}, **fields,
    }  # fmt: skip


async def send(place: ApiPlace, body: Any, headers: dict[str, str] = STRUCTURED) -> Answer:
    return await place.call("POST", "events", body, headers=headers)


async def test_an_event_submits_a_job_once(place: ApiPlace) -> None:
    first = await send(place, event(traceparent=f"00-{TRACE_ID}-b7ad6b7169203331-01"))
    assert (first.status, first.body["status"], first.body["trace_id"]) == (202, "queued", TRACE_ID)
    assert first.headers["location"] == first.body["links"]["self"]
    again = await send(place, event())
    assert again.body == first.body
    other_source = await send(place, event(source="/other"))
    assert other_source.body["job_id"] != first.body["job_id"]
    changed = await send(place, event(data={"flow": "probe", "spec": {"say": "ho"}}))
    assert (changed.status, changed.body["type"]) == (422, "/problems/submission-conflict")


async def test_an_event_cancels_a_job(place: ApiPlace) -> None:
    job = await place.submit()
    answer = await send(place, event(type=CANCEL, data={"job_id": job}))
    assert (answer.status, answer.body["status"]) == (202, "cancelled")
    over = await send(place, event(type=CANCEL, data={"job_id": job}))
    assert (over.status, over.body["type"]) == (409, "/problems/job-is-over")
    unknown = await send(place, event(type=CANCEL, data={"job_id": "0-nothing"}))
    assert unknown.status == 404


async def test_a_binary_event_has_its_attributes_in_headers(place: ApiPlace) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "b%201", "ce-source": "/orders", "ce-type": SUBMIT}
    binary = await send(place, {"flow": "probe", "spec": {}}, headers)
    assert binary.status == 202
    structured = await send(place, event(id="b 1"))
    assert structured.body["job_id"] == binary.body["job_id"]
    del headers["ce-source"]
    broken = await send(place, {"flow": "probe", "spec": {}}, headers)
    assert (broken.status, broken.fields) == (400, ["source"])


async def test_a_batch_is_answered_event_by_event(place: ApiPlace) -> None:
    good = await send(place, [event(id="1"), event(id="2")], BATCH)
    assert good.status == 202
    assert [one["status"] for one in good.body["items"]] == [202, 202]
    mixed = await send(
        place,
        [event(id="1"), event(id="3", type="nothing.of.ours"), "no event", event(id="4", data={"flow": "gone"})],
        BATCH,
    )
    assert mixed.status == 207
    assert [one["status"] for one in mixed.body["items"]] == [202, 422, 400, 422]
    assert mixed.body["items"][0]["job"]["job_id"] == good.body["items"][0]["job"]["job_id"]
    assert mixed.body["items"][1]["id"] == "3"
    assert (await send(place, event(), BATCH)).status == 400
    assert (await send(place, [event()] * 1_001, BATCH)).status == 400


BROKEN: dict[str, tuple[Any, int, list[str]]] = {
    "no event": ({"flow": "probe", "spec": {}}, 400, ["specversion", "id", "source", "type"]),
    "no id": (event(id=""), 400, ["id"]),
    "another version": (event(specversion="0.3"), 400, ["event"]),
    "a text": ("event", 400, ["event"]),
    "unknown type": (event(type="millrace.job.jump"), 422, ["type"]),
    "no data": (event(data=None), 422, ["data"]),
    "data that does not fit": (event(data={"flow": "probe"}), 422, ["data"]),
    "unknown flow": (event(data={"flow": "gone", "spec": {}}), 422, ["flow"]),
    "private target": (event(data={"flow": "probe", "spec": {"url": "http://10.0.0.1/"}}), 422, ["spec.url"]),
    "base64 of no JSON": (event(data=None, data_base64="eA=="), 400, ["event"]),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_event_is_refused(place: ApiPlace, case: str) -> None:
    body, status, fields = BROKEN[case]
    answer = await send(place, body)
    assert (answer.status, answer.fields) == (status, fields)
    assert (await place.call("GET", "jobs")).body["items"] == []


async def test_tenants_may_use_the_same_event_ids(place: ApiPlace) -> None:
    keys = ApiKeys(place.services.client, place.services.keys)
    jobs = set()
    for tenant in ("one", "two"):
        place.key, _ = await keys.create(tenant, tenant=tenant)
        jobs.add((await send(place, event())).body["job_id"])
    assert len(jobs) == 2
