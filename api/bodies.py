"""Request bodies: bytes to JSON to model, each failure a problem that names the field."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.requests import Request

from api.problems import Problem, field_errors

Model = TypeVar("Model", bound=BaseModel)

MAX_DEPTH: Final = 100
"""Deeper values could be read, but not written again by everything that they pass."""

_REF: Final = "#/components/schemas/{model}"
_described: set[type[BaseModel]] = set()


async def read_json(request: Request, *, default: Any = None) -> Any:
    """The body's JSON value.

    Args:
        request: Whose body; its size and time limits are the gate's.
        default: What an empty body stands for; None makes it a problem.

    Raises:
        Problem: ``bad-json``.
    """
    body = await request.body()
    if not body and default is not None:
        return default
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem("bad-json", f"the body is no JSON: {error}" if body else "the body is empty; send JSON") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise Problem("bad-json", f"the body nests more than {MAX_DEPTH} deep; make it flatter")
    return value


def fit(model: type[Model], value: Any, what: str) -> Model:
    """A JSON value as a model.

    Args:
        model: What it should be.
        value: JSON.
        what: Names the value for people.

    Raises:
        Problem: ``invalid-request``, with each field that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = field_errors(error.errors(include_url=False, include_input=False, include_context=False))
        named = "; ".join(f"{one['field']}: {one['detail']}" for one in errors[:5])
        more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""  # noqa: PLR2004 - as above
        raise Problem("invalid-request", f"{what} does not fit: {named}{more}", errors=errors) from None


def body_schema(model: type[BaseModel], example: Any = None) -> dict[str, Any]:
    """What the API's description says of a body that a route reads with `fit`."""
    _described.add(model)
    content: dict[str, Any] = {"schema": {"$ref": _REF.format(model=model.__name__)}}
    if example is not None:
        content["example"] = example
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def describe_bodies(openapi: dict[str, Any]) -> None:
    """Add the models of `body_schema` to an API's description."""
    _, definitions = models_json_schema([(model, "validation") for model in _described], ref_template=_REF)
    openapi.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])


def _is_deeper(value: Any, most: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
