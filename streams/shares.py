"""Which partitions a worker reads first: shared out evenly among those that are there, and moved as little as can be.

Every worker works the shares out for itself from the same names, so there is nobody to elect and nothing to hand over.
A share is a preference: who has nothing to do reads everybody's, so a wrong or late view costs order, never work.

Source: Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996; with a quota for each name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def shares(workers: Iterable[str], partitions: int) -> Mapping[str, frozenset[int]]:
    """Partitions by worker: as many for one as for another, give or take one; each has somebody.

    Args:
        workers: Names of those that are there; all workers must pass the same ones to agree.
        partitions: >= 1.

    Returns:
        For every worker at least one partition: with more workers than partitions, several share one.
    """
    names = sorted(set(workers))
    found: dict[str, set[int]] = {name: set() for name in names}
    if len(names) <= partitions:
        for partition, name in _matched([str(n) for n in range(partitions)], names):
            found[name].add(int(partition))
    else:
        for name, partition in _matched(names, [str(n) for n in range(partitions)]):
            found[name].add(int(partition))
    return {name: frozenset(mine) for name, mine in found.items()}


def _matched(many: list[str], few: list[str]) -> list[tuple[str, str]]:
    """Each of many with the one of few that it likes best and that has a place left."""
    if not few:
        return []
    least, more = divmod(len(many), len(few))
    taken = dict.fromkeys(few, 0)
    pairs = []
    for one in many:
        for other in sorted(few, key=lambda other: _liking(one, other), reverse=True):
            if taken[other] < least or (taken[other] == least and more > 0):
                more -= taken[other] == least
                taken[other] += 1
                pairs.append((one, other))
                break
    return pairs


def _liking(one: str, other: str) -> bytes:
    return hashlib.blake2b("\0".join(sorted((one, other))).encode(), digest_size=8).digest()
