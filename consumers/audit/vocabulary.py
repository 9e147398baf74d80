"""The vocabularies that ship with Millrace: schema.org's names and the registry of language subtags.

Both are lists of names and nothing else: types with their parents and properties as schema.org publishes them, and
the IANA registry of RFC 5646.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

_DATA: Final = "consumers.audit.data"


@cache
def _schema() -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    lines = (files(_DATA) / "schema_org.txt").read_text(encoding="utf-8").splitlines()[1:]
    split = lines.index("properties")
    types = {name: tuple(parents) for name, *parents in map(str.split, lines[:split])}
    return types, frozenset(lines[split + 1 :])


@cache
def _subtags() -> dict[str, frozenset[str]]:
    kinds: dict[str, list[str]] = {}
    names: list[str] = []
    for line in (files(_DATA) / "language_subtags.txt").read_text(encoding="utf-8").splitlines()[1:]:
        if line in {"language", "extlang", "script", "region", "variant"}:
            names = kinds.setdefault(line, [])
        else:
            names += line.split()
    return {kind: frozenset(found) for kind, found in kinds.items()}


def is_type(name: str) -> bool:
    """Whether schema.org has a type of this name, in this case."""
    return name in _schema()[0]


def is_property(name: str) -> bool:
    """Whether schema.org has a property of this name; ``-input`` and ``-output`` annotate those of actions."""
    known = _schema()[1]
    return name in known or name.removesuffix("-input").removesuffix("-output") in known


@cache
def is_a(name: str, ancestor: str) -> bool:
    """Whether a type is another or one of its subtypes."""
    return name == ancestor or any(is_a(parent, ancestor) for parent in _schema()[0].get(name, ()))


def is_language(subtag: str) -> bool:
    """Whether a primary language subtag is registered."""
    return subtag.lower() in _subtags()["language"] or ("qaa" <= subtag.lower() <= "qtz" and len(subtag) == 3)  # noqa: PLR2004


def is_script(subtag: str) -> bool:
    """Whether a script subtag is registered."""
    return subtag.lower() in _subtags()["script"]


def is_region(subtag: str) -> bool:
    """Whether a region subtag is registered."""
    return subtag.lower() in _subtags()["region"]
