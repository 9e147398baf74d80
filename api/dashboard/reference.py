"""The API's own description, arranged for people."""

from __future__ import annotations

from typing import Any


def sections_of(openapi: dict[str, Any]) -> list[dict[str, Any]]:
    """Routes by tag: method, path, what it does, and its parameters with place and type."""
    models = openapi.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            rows = [_parameter(one) for one in told.get("parameters", [])]
            content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
            body = models.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
            needed = body.get("required", ())
            rows += [
                _parameter({"name": name, "in": "body", "required": name in needed, "schema": schema})
                for name, schema in body.get("properties", {}).items()
            ]
            tag = (told.get("tags") or ["other"])[0]
            by_tag.setdefault(tag, []).append(
                {"method": method.upper(), "path": path, "about": told.get("description", ""), "parameters": rows}
            )
    return [{"name": tag, "routes": routes} for tag, routes in by_tag.items()]


def _parameter(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": one["name"], "in": one["in"], "required": one.get("required", False),
        "type": _type(one.get("schema", {})),
    }  # fmt: skip


def _type(schema: dict[str, Any]) -> str:
    names = [
        "/".join(map(str, one["enum"])) if "enum" in one else str(one.get("type") or one.get("$ref", "any"))
        for one in schema.get("anyOf", [schema])
    ]
    return " or ".join(name.rpartition("/schemas/")[2] for name in names if name != "null")
