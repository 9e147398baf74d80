"""HTML from templates: everything is escaped unless a template says otherwise, and none does."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from api.dashboard.actions import ACTIONS, link
from api.problems import KINDS
from schemas.names import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.dashboard.visit import Visit
    from api.problems import Problem

MEDIA_TYPE: Final = "text/html; charset=utf-8"
NAV: Final = (
    ("/", "Overview"), ("/jobs", "Jobs"), ("/workers", "Workers"), ("/streams", "Streams"), ("/analytics", "Analytics"),
    ("/alerts", "Alerts"), ("/dlq", "Dead letters"), ("/incidents", "Incidents"), ("/schedules", "Schedules"),
    ("/limits", "Limits & pauses"), ("/replays", "Replays"), ("/audit-log", "Audit log"),
)  # fmt: skip
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_KIB: Final = 1_024
_JSON: Final = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


def page(visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page for whoever looks at it."""
    path = visit.request.url.path
    body = (
        environment()
        .get_template(template)
        .render(visit=visit, nav=NAV, path=path, done=_done(visit.request.query_params), stages=STAGES, **values)
    )
    return visit.keep(Response(body, status, media_type=MEDIA_TYPE))


def problem_page(visit: Visit, problem: Problem) -> Response:
    """Why somebody does not see what was asked for."""
    title = KINDS[problem.name].title
    return page(visit, "problem.html", status=problem.status, title=title, detail=problem.detail)


def duration(seconds: float | None) -> str:
    """A length of time, in the two largest units."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{round(seconds * 1_000)} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE):02d} s"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE):02d} min"
    return f"{int(seconds // _DAY)} d {int(seconds % _DAY // _HOUR)} h"


def size(count: float | None) -> str:
    """Bytes for people."""
    amount = float(count or 0)
    for unit in ("B", "KiB", "MiB"):
        if amount < _KIB:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.2f} GiB"


def number(value: Any) -> str:
    """A number with its thousands apart; what is none as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def instant(value: Any) -> datetime | None:
    """An instant from ISO 8601, milliseconds, seconds or itself; None when it is none."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and value > 0:
        return datetime.fromtimestamp(value / 1_000 if value > 1e11 else value, UTC)  # noqa: PLR2004 - of the year 5138
    return None


def when(value: Any) -> Markup:
    """An instant as `<time>`, in UTC."""
    at = instant(value)
    if at is None:
        return Markup("")
    at = at.astimezone(UTC)
    shown = at.strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(at.isoformat(), shown, shown)


def seconds(value: Any) -> float:
    """An instant as seconds since the epoch; 0 for none."""
    at = instant(value)
    return at.timestamp() if at is not None else 0.0


def amount(value: Any) -> str:
    """A decimal as it came, with its thousands apart."""
    text = str(value)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{'.' + rest if rest else ''}" if whole.isdigit() else text


def pretty(value: Any) -> str:
    """A value as indented JSON."""
    return orjson.dumps(value, option=_JSON, default=str).decode()


def from_json(text: str) -> Any:
    """What JSON text says; the text itself when it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates; those that are missing a value fail in tests instead of showing nothing."""
    made = Environment(
        loader=PackageLoader("api.dashboard"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "duration": duration, "size": size, "number": number, "when": when, "pretty": pretty, "from_json": from_json,
        "seconds": seconds, "amount": amount,
    }  # fmt: skip
    made.globals |= {"actions": ACTIONS, "do": link, "asset": asset_url}
    return made


@lru_cache
def asset(name: str) -> bytes:
    """A script or a style sheet.

    Raises:
        FileNotFoundError: There is none of this name.
    """
    return (files("api.dashboard") / "static" / name).read_bytes()


@lru_cache
def asset_url(name: str) -> str:
    """Where it is served; changes with its content, so that it may be kept for ever."""
    return f"/static/{name}?v={sha256(asset(name)).hexdigest()[:12]}"


def _done(query: Mapping[str, str]) -> str:
    """What an action that was just done says; nothing of the query itself is shown."""
    action = ACTIONS.get(query.get("done", ""))
    return action.done if action is not None else ""
