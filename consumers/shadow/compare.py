"""Two results, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST: Final = 1_000
"""Differences that are listed; behind the last one a result is not looked at any further."""

IDENTITIES: Final = (
    ("id",), ("document_id",), ("url",), ("key",), ("concept", "kind"), ("row_key",), ("kind", "currency", "frequency"),
    ("kind",), ("period_end", "frequency"), ("period_end",), ("year",), ("sha256",), ("name",), ("place_id",),
    ("what", "url"),
)  # fmt: skip
"""Members by which the items of a list are told apart, tried in this order: those that every item has, each once."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field.

    Attributes:
        path: Where, as ``/statements/kind=income/rows/3/label``: names, and for items of lists what tells them apart.
        kind: ``added`` (only now), ``removed`` (only then) or ``changed``.
        before, after: JSON; None where there is none.
    """

    path: str
    kind: str
    before: Any = None
    after: Any = None


def differences(before: Any, after: Any, *, ignore: frozenset[str] = frozenset()) -> list[Difference]:
    """What of `before` is different in `after`, in the order of `before`; at most `MOST`.

    Args:
        before, after: JSON.
        ignore: Names of top-level members that are not looked at.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        before = {name: value for name, value in before.items() if name not in ignore}
        after = {name: value for name, value in after.items() if name not in ignore}
    found: list[Difference] = []
    for one in _differ("", before, after):
        found.append(one)
        if len(found) == MOST:
            break
    return found


def _differ(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _members(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _items(path, before, after)
    elif before != after or isinstance(before, bool) is not isinstance(after, bool):
        yield Difference(path or "/", "changed", before, after)


def _members(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for name in [*before, *(name for name in after if name not in before)]:
        place = f"{path}/{_escaped(name)}"
        if name not in after:
            yield Difference(place, "removed", before=before[name])
        elif name not in before:
            yield Difference(place, "added", after=after[name])
        else:
            yield from _differ(place, before[name], after[name])


def _items(path: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    names = _identity(before, after)
    if names is None:
        for at in range(max(len(before), len(after))):
            place = f"{path}/{at}"
            if at >= len(after):
                yield Difference(place, "removed", before=before[at])
            elif at >= len(before):
                yield Difference(place, "added", after=after[at])
            else:
                yield from _differ(place, before[at], after[at])
        return
    then, now = ({_of(item, names): item for item in items} for items in (before, after))
    for said in [*then, *(said for said in now if said not in then)]:
        told = ",".join(f"{name}={_escaped(str(value))}" for name, value in zip(names, said, strict=True))
        place = f"{path}/{told}"
        if said not in now:
            yield Difference(place, "removed", before=then[said])
        elif said not in then:
            yield Difference(place, "added", after=now[said])
        else:
            yield from _differ(place, then[said], now[said])


def _identity(before: list[Any], after: list[Any]) -> tuple[str, ...] | None:
    """What tells the items of both lists apart; None: their place."""
    for names in IDENTITIES:
        if all(_is_told_apart(items, names) for items in (before, after)):
            return names
    return None


def _is_told_apart(items: Sequence[Any], names: tuple[str, ...]) -> bool:
    if not all(
        isinstance(item, dict) and all(isinstance(item.get(name), str | int) for name in names) for item in items
    ):
        return False
    return len({_of(item, names) for item in items}) == len(items)


def _of(item: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item[name] for name in names)


def _escaped(name: str) -> str:
    """As RFC 6901 writes a name in a pointer."""
    return name.replace("~", "~0").replace("/", "~1")
