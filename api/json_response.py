"""JSON answers, written by orjson."""

from typing import Any, Final

import orjson
from pydantic import BaseModel
from starlette.responses import Response

_OPTIONS: Final = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class Json(Response):
    """A JSON answer; models and instants in it are written as the API shows them."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        if isinstance(content, BaseModel):
            return content.model_dump_json().encode()
        return orjson.dumps(content, default=_plain, option=_OPTIONS)


def items(found: list[Any], cursor: str | None = None) -> Json:
    """A page of a list."""
    return Json({"items": found, "next": cursor})


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError
