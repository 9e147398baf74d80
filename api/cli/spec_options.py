"""A flow's spec as command-line options: one for each field of its model, the first required one positional.

A nested model's fields are options of their own (``--company-name``). A list is given with commas, or as an option
several times; anything may be given as JSON.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union

import orjson
import typer
from pydantic import BaseModel

from api.cli.root import Usage

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


PANEL: Final = "What the job is to do"
_PREFIX: Final = "spec_"


@dataclass(frozen=True, slots=True)
class SpecField:
    """A field of a spec, or of a model within it.

    Attributes:
        path: Names from the spec down.
        annotation: Its type.
        about: A line for people.
        is_required: Whether the spec needs it.
        default: Shown; None when there is nothing to show.
    """

    path: tuple[str, ...]
    annotation: Any
    about: str
    is_required: bool
    default: Any

    @property
    def parameter(self) -> str:
        """Name of the Python parameter."""
        return _PREFIX + "__".join(self.path)

    @property
    def option(self) -> str:
        """Name of the option."""
        return "--" + "-".join(self.path).replace("_", "-")

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false."""
        return _plain(self.annotation) == [bool]

    @property
    def is_list(self) -> bool:
        """Whether it may be several values."""
        return any(typing.get_origin(kind) in {list, tuple, set, frozenset} for kind in _plain(self.annotation))

    def value(self, given: list[str]) -> Any:
        """What was typed, as JSON for the model to judge.

        Raises:
            Usage: It begins like JSON and is none.
        """
        if len(given) == 1 and given[0].lstrip()[:1] in {"[", "{"}:
            try:
                return orjson.loads(given[0])
            except orjson.JSONDecodeError as error:
                raise Usage(f"{self.option}: this is no JSON: {error}") from None
        values = [part.strip() for text in given for part in (text.split(",") if self.is_list else [text])]
        if self.is_list and (len(values) > 1 or not self._may_be_single()):
            return [_scalar(value, self.annotation) for value in values if value]
        return _scalar(values[0], self.annotation)

    def _may_be_single(self) -> bool:
        return any(kind in {int, float, str} for kind in _plain(self.annotation))


def fields_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[SpecField]:
    """The fields of a spec, those of nested models in their place."""
    abouts = _abouts(model)
    for name, info in model.model_fields.items():
        nested = [kind for kind in _plain(info.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if nested and len(_plain(info.annotation)) == 1:
            yield from fields_of(nested[0], (*path, name))
            continue
        yield SpecField(
            (*path, name),
            info.annotation,
            info.description or abouts.get(name, ""),
            info.is_required() and not path,
            None if info.is_required() or info.default_factory else info.default,
        )


def parameters_of(model: type[BaseModel]) -> list[inspect.Parameter]:
    """The parameters of a command that takes this spec, for typer to read."""
    parameters = []
    has_positional = False
    for field in fields_of(model):
        about = field.about or _kinds(field.annotation)
        if field.default not in (None, (), [], {}, ""):
            about = f"{about} [default: {_shown(field.default)}]"
        if field.is_required and not has_positional:
            has_positional = True
            # Not required of the command line: --spec may have it.
            annotation: Any = Annotated[
                str | None, typer.Argument(metavar=field.path[-1].upper(), help=about, show_default=False)
            ]
        elif field.is_flag:
            name = field.option
            annotation = Annotated[
                bool | None,
                typer.Option(f"{name}/--no-{name[2:]}", help=about, show_default=False, rich_help_panel=PANEL),
            ]
        else:
            annotation = Annotated[
                list[str] | None,
                typer.Option(
                    field.option, metavar=_metavar(field), help=about, show_default=False, rich_help_panel=PANEL
                ),
            ]  # fmt: skip
        parameters.append(
            inspect.Parameter(field.parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        )
    return parameters


def spec_from(model: type[BaseModel], base: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec that was asked for, not yet judged.

    Args:
        model: The flow's spec.
        base: ``--spec``: JSON, or ``@file``.
        given: Values by parameter name; those of options win over `base`.

    Raises:
        Usage: `base` is no JSON object, or the file cannot be read; a required field is missing.
    """
    spec = _base(base)
    fields = list(fields_of(model))
    for field in fields:
        value = given.get(field.parameter)
        if value is None or value == []:
            continue
        place = spec
        for name in field.path[:-1]:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                raise Usage(f"{field.option}: --spec gives {name!r} as something else than an object")
            place = inner
        place[field.path[-1]] = (
            value if isinstance(value, bool) else field.value([value] if isinstance(value, str) else value)
        )
    missing = [field for field in fields if field.is_required and len(field.path) == 1 and field.path[0] not in spec]
    if missing:
        names = ", ".join(field.path[0] for field in missing)
        raise Usage(f"the job needs {names}: give it on the command line, or in --spec; --help shows all fields")
    return spec


def payload_from(base: str | None) -> dict[str, Any]:
    """What ``--spec`` gives by itself, for a job that starts at a later stage.

    Raises:
        Usage: It is missing, or no JSON object.
    """
    if base is None:
        raise Usage("with --from-stage the payload of that stage is needed: give it with --spec")
    return _base(base)


def option_of(model: type[BaseModel], place: tuple[Any, ...]) -> str:
    """How the command line calls a place in the spec, for an error to name."""
    names = tuple(part for part in place if isinstance(part, str))
    first_required = next((field for field in fields_of(model) if field.is_required), None)
    for field in fields_of(model):
        if names[: len(field.path)] == field.path:
            return field.path[-1].upper() if field == first_required else field.option
    return ".".join(map(str, place)) or "spec"


def _base(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text.startswith("@"):
        path = Path(text[1:]).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Usage(f"--spec: {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        spec = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Usage(f"--spec is no JSON: {error}; give an object, or @file") from None
    if not isinstance(spec, dict):
        raise Usage(f"--spec must be a JSON object, not {type(spec).__name__}")
    return spec


def _plain(annotation: Any) -> list[Any]:
    """The alternatives of a type, without None and without what `Annotated` adds."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _plain(typing.get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [kind for one in typing.get_args(annotation) for kind in _plain(one) if kind is not types.NoneType]
    return [annotation]


def _items(annotation: Any) -> list[Any]:
    """The types of single values: of the type itself, and of a list's items."""
    found = []
    for kind in _plain(annotation):
        if typing.get_origin(kind) in {list, tuple, set, frozenset}:
            found += [item for one in typing.get_args(kind) if one is not ... for item in _plain(one)]
        else:
            found.append(kind)
    return found


def _scalar(text: str, annotation: Any) -> Any:
    """A number when the field takes numbers and this is one; else the text, for the model to judge."""
    kinds = _items(annotation)
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _metavar(field: SpecField) -> str:
    text = "|".join(dict.fromkeys(map(_kind_name, _items(field.annotation))))
    return f"{text}[,…]" if field.is_list else text


def _kind_name(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "|".join(map(str, typing.get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(one.value) for one in kind)
    return {int: "INTEGER", float: "NUMBER", str: "TEXT", bool: "true|false"}.get(kind, "JSON")


def _kinds(annotation: Any) -> str:
    return "" if len(_items(annotation)) != 1 else {int: "A whole number.", str: "Text."}.get(_items(annotation)[0], "")


def _shown(default: Any) -> str:
    if isinstance(default, str | int | float):
        return str(default)
    if isinstance(default, tuple | list):
        return ",".join(map(str, default))
    return json.dumps(default, default=str)


def _abouts(model: type[BaseModel]) -> dict[str, str]:
    """What the ``Attributes:`` of the model's docstring say of its fields."""
    abouts: dict[str, str] = {}
    inside, name = False, ""
    for line in inspect.getdoc(model).splitlines() if model.__doc__ else ():  # type: ignore[union-attr]
        if line.strip() == "Attributes:":
            inside = True
        elif inside and line.startswith("    ") and not line.startswith("     ") and ":" in line:
            name, _, about = line.strip().partition(":")
            abouts[name] = about.strip()
        elif inside and line.startswith("     ") and name:
            abouts[name] += " " + line.strip()
        elif inside and line.strip():
            break
    return abouts


__all__ = ["SpecField", "fields_of", "option_of", "parameters_of", "payload_from", "spec_from"]
