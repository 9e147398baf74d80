"""CloudEvents in and what they ask for."""

import base64

import orjson
import pytest

from schemas.events import (
    CANCEL,
    SUBMIT,
    BadEvent,
    CancelData,
    command_of,
    event_of,
    event_of_entry,
    signature,
)
from schemas.jobs import JobRequest

ENTRY = {"type": SUBMIT, "data": '{"flow":"noop","spec":{}}'}


def test_an_entry_with_type_and_data_is_a_submission() -> None:
    assert command_of(event_of_entry(ENTRY)) == JobRequest(flow="noop", spec={})


def test_a_cancel_event_names_a_job() -> None:
    event = event_of({"type": CANCEL, "data": {"job_id": "0-a", "force": True}})
    assert command_of(event) == CancelData(job_id="0-a", force=True)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"data": "{}"}, "bad_event"),
        ({"type": SUBMIT}, "no_data"),
        ({"type": SUBMIT, "data": "{"}, "bad_json"),
        ({"type": SUBMIT, "data": '{"spec":{}}'}, "invalid_job"),
        ({"type": SUBMIT, "data": '{"flow":"noop","spec":{},"colour":1}'}, "invalid_job"),
        ({"type": "other", "data": "{}"}, "unknown_event_type"),
    ],
)
def test_a_bad_entry_says_why(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(BadEvent) as caught:
        command_of(event_of_entry(fields))
    assert caught.value.reason == reason


def test_with_a_secret_only_signed_entries_pass() -> None:
    signed = {**ENTRY, "id": "1", "source": "crm"}
    good = {**signed, "sig": signature(signed, "secret")}
    assert event_of_entry(good, "secret").id == "1"
    for bad in (
        signed,
        {**good, "data": '{"flow":"noop","spec":{"n":2}}'},
        {**good, "sig": signature(signed, "other")},
    ):
        with pytest.raises(BadEvent, match="sig"):
            event_of_entry(bad, "secret")


def test_identities_that_read_alike_are_apart() -> None:
    one = event_of({"type": SUBMIT, "source": "a b", "id": "c"})
    other = event_of({"type": SUBMIT, "source": "a", "id": "b c"})
    assert one.identity != other.identity
    assert event_of({"type": SUBMIT}).identity == ""


@pytest.mark.parametrize("given", ["%%%", "é", base64.b64encode(b"{").decode()])
def test_base64_that_holds_no_json_is_refused(given: str) -> None:
    with pytest.raises(BadEvent, match="data_base64"):
        event_of({"type": SUBMIT, "data_base64": given})


def test_base64_data_is_read() -> None:
    packed = base64.b64encode(orjson.dumps({"flow": "noop", "spec": {}})).decode()
    assert command_of(event_of({"type": SUBMIT, "data_base64": packed})) == JobRequest(flow="noop", spec={})
