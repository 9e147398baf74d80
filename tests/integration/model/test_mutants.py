"""The model test notices when a script is changed: every small wrong change must make it fail.

All of them (about 600, a minute on two cores) with ``MILLRACE_ALL_MUTANTS=1``; else every few of each file.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import pytest

from streams.scripts import MOVES
from tests.integration.model.hunt import survivors
from tests.integration.model.mutants import Mutant, files, mutants_of

IS_WHOLE: Final = bool(os.environ.get("MILLRACE_ALL_MUTANTS"))
LEAST_PER_FILE: Final = 3
SHARE: Final = 3
PROCESSES: Final = 2

UNNOTICEABLE: Final = {
    "load_more(job, ": "reads ahead: what it does not read is read one by one",
    "job.f[names[i]] == nil then job.f[names[i]] = values[i]": "as above",
    "redis.call('PERSIST', job.key)": "a record with dead letters has no time to live; kept as a second lock",
    "set(job, 'status', 'running')": "a job that has a next revision is running already",
    "if not to.parked or open == 0": "saves a look at a list that cannot have anything",
    "if listed == 0": "as above",
}
"""Part of a line -> why its change shows nowhere."""


def chosen(file: str) -> list[Mutant]:
    """The mutants of a file that this run makes."""
    found = [m for m in mutants_of(file) if not any(part in m.before for part in UNNOTICEABLE)]
    if IS_WHOLE:
        return mutants_of(file)
    step = max(1, min(SHARE, len(found) // LEAST_PER_FILE))
    return found[::step]


@pytest.mark.slow
@pytest.mark.timeout(600 if IS_WHOLE else 240)
def test_every_mutant_is_noticed() -> None:
    mutants = [mutant for file in files() for mutant in chosen(file)]
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = pool.map(survivors, [mutants[n::PROCESSES] for n in range(PROCESSES)])
        alive = sorted(text for part in parts for text in part)
    unexpected = [text for text in alive if not any(part in text for part in UNNOTICEABLE)]
    assert not unexpected, f"{len(unexpected)} of {len(mutants)} mutants pass:\n" + "\n".join(unexpected)


def test_every_script_has_mutants() -> None:
    # A move whose body is one call of a fragment has its mutants there.
    few = {file for file in MOVES if len(mutants_of(file)) < LEAST_PER_FILE}
    assert few == {"retry", "snooze"}
    assert len(mutants_of("lib/delay")) > LEAST_PER_FILE


def test_every_excuse_is_still_needed() -> None:
    lines = [mutant.before for file in files() for mutant in mutants_of(file)]
    assert not [part for part in UNNOTICEABLE if not any(part in line for line in lines)]
