"""A flow: its spec and its stages; and the register of the flows that are installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from consumers.stage import Stage
from schemas.names import StageName
from schemas.stages import Payload
from streams.errors import MillraceError
from streams.policy import StagePolicy

if TYPE_CHECKING:
    from consumers.shadow.gather import Original
    from consumers.store import MemoryStore, Store

ENTRY_POINTS: Final = "millrace.flows"
_DEFAULT_POLICY: Final = StagePolicy()


class UnknownFlow(MillraceError):  # noqa: N818 - it says what is wrong
    """No installed flow has this name."""


@dataclass(frozen=True, slots=True)
class ShadowHooks:
    """How a flow's own tables get into a shadow run; see `consumers.shadow`.

    Attributes:
        load: Reads what is needed, from the real store: (store, tenant, spec as JSON) -> anything.
        seed: Puts it, and what the original's tasks had written, into the shadow's store: (store, original).
        ignored: Top-level members of the result that are different each time.
    """

    load: Callable[[Store, str, bytes], Awaitable[Any]]
    seed: Callable[[MemoryStore, Original], Awaitable[None]]
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Flow:
    """What one kind of job is made of.

    Attributes:
        spec: Model of what a user must say; unknown fields are refused by name.
        first: The payload of the first task, from the spec.
        budgets: The job's budgets, from the spec: ``{"pages": 50}``.
        limit_s: Running time after which the job fails; waits are not counted. None: no limit.
        about: One line for people.
        summary: What a job that ends before compile has to show, from what its tasks collected (JSON, by task).
        shadow: What a shadow run needs of the flow's own tables; None when its stages read none.
    """

    name: str
    spec: type[BaseModel]
    stages: tuple[Stage, ...]
    first: Callable[[Any], BaseModel]
    budgets: Callable[[Any], Mapping[str, int]] = field(default=lambda _: {})
    limit_s: float | None = None
    about: str = ""
    summary: Callable[[list[Any]], BaseModel] | None = None
    shadow: ShadowHooks | None = None
    by_name: Mapping[StageName, Stage] = field(init=False)

    def __post_init__(self) -> None:
        """Index the stages by name.

        Raises:
            ValueError: A stage is declared twice, or crawl or compile is missing.
        """
        by_name: dict[StageName, Stage] = {}
        for one in self.stages:
            if one.name in by_name:
                msg = f"flow {self.name!r} declares stage {one.name!r} twice"
                raise ValueError(msg)
            by_name[one.name] = one
        if "notify" not in by_name:
            from consumers.notify import notify  # noqa: PLC0415 - notify is a stage itself

            by_name["notify"] = notify
        object.__setattr__(self, "by_name", by_name)


class Flows:
    """The flows that this process knows."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self.by_name = {flow.name: flow for flow in flows}
        self._policies = {
            (flow.name, name): one.policy for flow in self.by_name.values() for name, one in flow.by_name.items()
        }

    def get(self, name: str) -> Flow:
        """A flow by its name.

        Raises:
            UnknownFlow: None has it; the text lists those that are there.
        """
        flow = self.by_name.get(name)
        if flow is None:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise UnknownFlow(f"there is no flow {name!r}; installed are: {known}")
        return flow

    def bounds(self) -> Mapping[tuple[StageName, str], Mapping[str, int]]:
        """(stage, pool) -> flow -> concurrency, where every flow that has the stage in that pool bounds it."""
        found: dict[tuple[StageName, str], dict[str, int | None]] = {}
        for (flow, stage), policy in self._policies.items():
            found.setdefault((stage, policy.pool), {})[flow] = policy.concurrency
        return {
            place: {flow: limit for flow, limit in limits.items() if limit is not None}
            for place, limits in found.items()
            if None not in limits.values()
        }

    def policy(self, flow: str, stage: StageName) -> StagePolicy:
        """The policy of a stage of a flow; the default one for a flow that is not known here."""
        return self._policies.get((flow, stage), _DEFAULT_POLICY)


@cache
def installed() -> Flows:
    """The flows registered under the entry point group ``millrace.flows``."""
    found = []
    for point in entry_points(group=ENTRY_POINTS):
        flow = point.load()
        if not isinstance(flow, Flow):
            msg = f"entry point {point.name} = {point.value} in group {ENTRY_POINTS} is no Flow"
            raise TypeError(msg)
        found.append(flow)
    return Flows(found)


__all__ = ["Flow", "Flows", "Payload", "UnknownFlow", "installed"]
