"""Does the model test notice a mutant? Runs the scenarios, then short walks, until something disagrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from redis.exceptions import ResponseError

from tests.integration.model.mutants import Mutant
from tests.integration.model.scenarios import SCENARIOS
from tests.integration.model.server import Server
from tests.integration.model.walk import walk
from tests.integration.model.world import World
from tests.support.servers import FAST_VALKEY, running_valkey

NAMESPACE: Final = "model"
SEEDS: Final = range(4)
STEPS: Final = 120


def run_all(url: str, changed: Mapping[str, str], seeds: Sequence[int] = SEEDS, steps: int = STEPS) -> None:
    """Every scenario and some walks.

    Raises:
        AssertionError: The scripts and the model disagree.
    """
    server = Server(url, changed)
    for run in SCENARIOS:
        server.redis.flushdb()
        run(World(server, NAMESPACE))
    for seed in seeds:
        server.redis.flushdb()
        walk(World(server, NAMESPACE), seed, steps, losing=seed % 3 == 2)


def survivors(mutants: Sequence[Mutant]) -> list[str]:
    """Those of some mutants that nothing notices, on a server of their own."""
    alive = []
    with running_valkey({**FAST_VALKEY, "appendonly": "no"}) as server:
        run_all(server.url, {})
        for mutant in mutants:
            try:
                run_all(server.url, {mutant.file: mutant.source})
            except (AssertionError, ResponseError, KeyError, ValueError, TypeError, IndexError):
                continue  # a disagreement, or the script failed outright
            alive.append(str(mutant))
    return alive
