"""Limits as operators see them: what the installed flows declare, what they are set to, and who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from api.problems import Problem
from schemas.jobs import Asked
from streams.errors import MillraceError
from streams.limits import Limits
from streams.overrides import Override, Overrides, declared, with_override
from streams.policy import AtOnce, Limit, RateLimit

if TYPE_CHECKING:
    from api.services import Services
    from consumers.flow import Flows


class LimitRequest(Asked):
    """What a limit is to be.

    Attributes:
        count: How many.
        per_s: In how many seconds; left out: as declared. Not for limits of how many at once.
    """

    count: Annotated[int, Field(ge=1, le=1_000_000)]
    per_s: Annotated[float, Field(gt=0, le=10 * 365 * 86_400)] | None = None


class NoSuchLimit(MillraceError):  # noqa: N818 - it says what is wrong
    """No installed flow declares a limit of this name."""


def limits_of(flows: Flows) -> dict[str, Limit]:
    """The limits that the installed flows declare, by name."""
    found = [
        limit for flow in flows.by_name.values() for stage in flow.by_name.values() for limit in stage.policy.limits
    ]
    return dict(sorted(declared(found).items()))


async def list_limits(services: Services) -> list[dict[str, Any]]:
    """Every declared limit, and every override, also of a limit that no flow declares any more."""
    known, overrides = limits_of(services.flows), await Overrides(services.client, services.keys).all()
    rows = [await _view(services, limit, overrides.get(name)) for name, limit in known.items()]
    stray = sorted(set(overrides) - set(known))
    return rows + [{"name": name, "kind": None, "set": _numbers(overrides[name])} for name in stray]


async def set_limit(services: Services, name: str, asked: LimitRequest) -> dict[str, Any]:
    """Set a limit; workers hold to it within a second.

    Raises:
        NoSuchLimit: None has this name.
        Problem: It is given a time, and counts how many at once.
    """
    limit = _find(services, name)
    if isinstance(limit, AtOnce) and asked.per_s is not None:
        raise Problem(
            "invalid-request", f"limit {name} says how many at once: it has no per_s",
            errors=[{"field": "per_s", "pointer": "#/per_s", "detail": "is for limits of how often"}],
        )  # fmt: skip
    override = Override(asked.count, asked.per_s)
    await Overrides(services.client, services.keys).set(name, override)
    return await _view(services, limit, override)


async def clear_limit(services: Services, name: str) -> bool:
    """Have a limit as it is declared; False when it was.

    Raises:
        NoSuchLimit: None has this name.
    """
    cleared = await Overrides(services.client, services.keys).clear(name)
    if not cleared:
        _find(services, name)
    return cleared


def _find(services: Services, name: str) -> Limit:
    known = limits_of(services.flows)
    if name not in known:
        names = ", ".join(known) or "none"
        raise NoSuchLimit(f"there is no limit {name[:64]!r}; the installed flows declare: {names}")
    return known[name]


async def _view(services: Services, limit: Limit, override: Override | None) -> dict[str, Any]:
    shared, now = Limits(services.client, services.keys.namespace), with_override(limit, override)
    view: dict[str, Any] = {
        "name": limit.name, "kind": "rate" if isinstance(limit, RateLimit) else "at_once",
        "by_value": limit.by is not None, **_numbers(now), "declared": _numbers(limit),
        "set": _numbers(override) if override is not None else None,
    }  # fmt: skip
    if limit.by is None:
        if isinstance(limit, RateLimit):
            view["waiting"] = await shared.slots(limit.name)
        else:
            view |= {"running": await shared.held(limit.name), "waiting": await shared.waiting(limit.name)}
    return view


def _numbers(limit: Limit | Override) -> dict[str, Any]:
    per_s = getattr(limit, "per_s", None)
    return {"count": limit.count} | ({"per_s": per_s} if per_s is not None else {})
