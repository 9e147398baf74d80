"""What the streams hold, as contracts: the AsyncAPI 3 document and the JSON Schema of each kind of entry.

Both are made from the models that the code itself reads and writes with, and from the flows that are installed.

Source: AsyncAPI specification 3.0.0; JSON Schema 2020-12.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from consumers.flow import Flows
from schemas.entries import DeadLetterEntry, Entry, IngestEntry, LifecycleEntry, OutcomeEntry, StageEntry
from schemas.events import CancelData
from schemas.jobs import JobRequest
from schemas.names import STAGES
from schemas.outcomes import JobOutcome

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/components/schemas/{model}"
_SUFFIX: Final = "[.<pool>][:high|:low]"


@dataclass(frozen=True, slots=True)
class Contract:
    """One kind of data in the streams.

    Attributes:
        name: As it is asked for: ``lifecycle``, ``filings.extract``, ``filings.spec``.
        model: What reads and writes it.
        entry: The entry that carries it as `data`; None when it is an entry itself, or is carried by none.
        about: One line for people.
    """

    name: str
    model: type[BaseModel]
    entry: type[Entry] | None
    about: str


def contracts(flows: Flows) -> tuple[Contract, ...]:
    """Everything that has a schema, in a fixed order."""
    fixed = [
        Contract("events", IngestEntry, None, "An entry of the ingest stream"),
        Contract("events.submit", JobRequest, IngestEntry, "`data` of millrace.job.submit"),
        Contract("events.cancel", CancelData, IngestEntry, "`data` of millrace.job.cancel"),
        Contract("outcomes", OutcomeEntry, None, "An entry of the outcomes stream"),
        Contract("outcomes.job", JobOutcome, OutcomeEntry, "`data` of an outcome, and the body of a webhook"),
        Contract("stage", StageEntry, None, "An entry of a stage stream"),
        Contract("lifecycle", LifecycleEntry, None, "An entry of the lifecycle stream"),
        Contract("dlq", DeadLetterEntry, None, "An entry of the dead-letter stream"),
    ]
    for flow in sorted(flows.by_name.values(), key=lambda flow: flow.name):
        fixed.append(Contract(f"{flow.name}.spec", flow.spec, None, f"What a user says to submit {flow.name}"))
        fixed += [
            Contract(f"{flow.name}.{name}", flow.by_name[name].accepts, StageEntry, f"`data` at {name} of {flow.name}")
            for name in STAGES
            if name in flow.by_name
        ]
    return tuple(fixed)


def schema_of(contract: Contract) -> dict[str, Any]:
    """Its JSON Schema, whole."""
    return {"$schema": DIALECT, "title": contract.name, **contract.model.model_json_schema(by_alias=True)}


def asyncapi(flows: Flows, namespace: str = "millrace") -> dict[str, Any]:
    """The AsyncAPI document of a namespace's streams."""
    known = contracts(flows)
    keys, definitions = models_json_schema(
        sorted(
            {(one.model, "validation") for one in known}, key=lambda pair: (pair[0].__module__, pair[0].__qualname__)
        ),
        ref_template=_REF,
    )
    of_model: dict[Any, dict[str, Any]] = {model: found for (model, _), found in keys.items()}
    messages = {one.name: _message(one, of_model) for one in known if one.entry or one.name in {"lifecycle", "dlq"}}
    channels = _channels(flows, namespace)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Millrace streams",
            "version": version("millrace"),
            "description": (
                "Redis streams that other systems may read and write. Every value in an entry is text; `data` is a "
                "JSON object. A schema version `v` in it is raised when its shape changes; older ones stay readable."
            ),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {name: operation for channel in channels for name, operation in _operations(channel)},
        "components": {"messages": messages, "schemas": definitions.get("$defs", {})},
    }


def _message(contract: Contract, of_model: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    body = of_model[contract.model]
    payload = body
    if contract.entry is not None:
        said: dict[str, Any] = {
            "type": "string", "contentMediaType": "application/json", "contentSchema": body,
        }  # fmt: skip
        fixed: dict[str, Any] = {"data": said}
        kind, _, part = contract.name.partition(".")
        if contract.entry is StageEntry:
            fixed["flow"] = {"const": kind}
        elif contract.entry is IngestEntry:
            fixed["type"] = {"const": f"millrace.job.{part}"}
        payload = {"allOf": [of_model[contract.entry], {"properties": fixed}]}
    return {"name": contract.name, "title": contract.about, "contentType": "application/json", "payload": payload}


def _channels(flows: Flows, namespace: str) -> dict[str, Any]:
    partition = {"partition": {"description": "In braces, the Cluster hash tag: `{0}`.", "examples": ["{0}"]}}
    of_stage = {
        stage: [f"{name}.{stage}" for name in sorted(flows.by_name) if stage in flows.by_name[name].by_name]
        for stage in STAGES
    }
    return {
        "events": {
            "address": f"{namespace}:events", "description": "XADD a job, or a cancel, to this stream.",
            "messages": _refs(("events.submit", "events.cancel")),
        },
        "outcomes": {
            "address": f"{namespace}:outcomes", "description": "A CloudEvent for each finished job.",
            "messages": _refs(("outcomes.job",)),
        },
        **{
            stage: {
                "address": f"{namespace}:{{partition}}:{stage}", "parameters": partition,
                "description": f"Open work at {stage}; the key may go on with {_SUFFIX}. Consumer group `millrace`.",
                "messages": _refs(of_stage[stage]),
            }
            for stage in STAGES
        },
        "lifecycle": {
            "address": f"{namespace}:{{partition}}:lifecycle", "parameters": partition,
            "description": "What happened, one entry a move.", "messages": _refs(("lifecycle",)),
        },
        "dlq": {
            "address": f"{namespace}:{{partition}}:dlq", "parameters": partition,
            "description": "What cannot succeed.", "messages": _refs(("dlq",)),
        },
    }  # fmt: skip


def _refs(names: tuple[str, ...] | list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operations(channel: str) -> list[tuple[str, dict[str, Any]]]:
    """As the application sees it: it receives from some streams, sends to others, and does both at the stages."""
    ways: dict[str, tuple[Literal["receive", "send"], ...]] = {
        "events": ("receive",), "outcomes": ("send",), "lifecycle": ("send",), "dlq": ("send",),
    }  # fmt: skip
    return [
        (f"{way}.{channel}", {"action": way, "channel": {"$ref": f"#/channels/{channel}"}})
        for way in ways.get(channel, ("receive", "send"))
    ]


__all__ = ["Contract", "asyncapi", "contracts", "schema_of"]
