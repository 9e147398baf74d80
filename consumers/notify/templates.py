"""The templates of mails, packaged beside this module: HTML escapes whatever it is given, text does not need to."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(name: str, **values: Any) -> str:
    """A template with its values; one that is missing is an error, never a blank.

    Args:
        name: ``finished.html``, without its suffix ``.j2``.
    """
    return _environment().get_template(f"{name}.j2").render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("consumers.notify", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
