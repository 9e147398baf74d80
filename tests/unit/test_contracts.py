"""The contracts of the streams: the committed AsyncAPI document is the code's, and golden entries fit it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from api.contracts import asyncapi, contracts, schema_of
from consumers.flow import installed
from consumers.notify.event import cloud_event
from schemas.entries import IngestEntry, LifecycleEntry, OutcomeEntry, StageEntry
from schemas.jobs import JobRequest
from schemas.names import STAGES
from schemas.outcomes import JobOutcome
from streams.codec import _ORDER

DOC = Path(__file__).parents[2] / "docs" / "asyncapi.json"
GOLDEN = Path(__file__).parent / "golden" / "payloads.json"


def test_the_document_in_docs_is_that_of_the_code() -> None:
    written = orjson.dumps(asyncapi(installed()), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if os.environ.get("MILLRACE_ACCEPT_DOCS"):
        DOC.write_bytes(written)
        return
    same = DOC.read_bytes() == written
    assert same, "a stream's contract changed: run this test with MILLRACE_ACCEPT_DOCS=1 to write docs/asyncapi.json"


def _refs(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_refs(child) for child in value.values()))
    if isinstance(value, list):
        return set().union(*(_refs(child) for child in value))
    return set()


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi(installed(), "shop")
    for ref in _refs(document):
        at: Any = document
        for part in ref.removeprefix("#/").split("/"):
            at = at[part]
        assert at
    assert document["channels"]["crawl"]["address"] == "shop:{partition}:crawl"
    assert set(STAGES) < set(document["channels"])
    flows = installed().by_name
    assert set(document["channels"]["extract"]["messages"]) == {
        f"{name}.extract" for name in flows if "extract" in flows[name].by_name
    }


@pytest.mark.parametrize("contract", contracts(installed()), ids=lambda one: one.name)
def test_each_schema_is_one(contract: Any) -> None:
    Draft202012Validator.check_schema(schema_of(contract))


def test_golden_payloads_fit_the_published_schemas() -> None:
    by_name = {one.name: Draft202012Validator(schema_of(one)) for one in contracts(installed())}
    for row in orjson.loads(GOLDEN.read_bytes()):
        if row["data"]["v"] == 1:
            by_name[f"{row['flow']}.{row['stage']}"].validate(row["data"])


def test_a_stage_entry_has_the_codec_s_fields_in_their_order() -> None:
    assert [name.encode() for name in StageEntry.model_fields] == _ORDER


def test_what_notify_publishes_is_an_outcome_entry() -> None:
    outcome = JobOutcome.model_validate(
        {
            "job_id": "0-a", "flow": "noop", "status": "partial", "revision": 2, "finished_at": "2026-01-02T03:04:05Z",
            "links": {},
        }
    )  # fmt: skip
    entry = OutcomeEntry.model_validate(cloud_event(outcome, namespace="millrace", traceparent=""))
    assert JobOutcome.model_validate_json(entry.data) == outcome


def test_an_entry_with_a_field_that_nobody_described_is_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        LifecycleEntry.model_validate({"type": "started", "colour": "red"})


def test_what_the_readme_adds_is_an_ingest_entry() -> None:
    entry = IngestEntry.model_validate({"type": "millrace.job.submit", "data": '{"flow":"noop","spec":{}}'})
    assert JobRequest.model_validate_json(entry.data).flow == "noop"
