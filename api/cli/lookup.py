"""What commands look up, with the services that the API's routes use."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from api.cli.screen import first_line, say
from api.environment import connected, find
from api.keys import DEFAULT_TENANT
from api.look import Found, entries_of
from api.look import find as find_job
from api.problems import Problem
from api.results import dead_letters_of
from schemas.settings import load_settings
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.services import Services

TENANT: Final = DEFAULT_TENANT
"""Whose jobs the command line sees."""


@asynccontextmanager
async def here() -> AsyncIterator[Services]:
    """The services of the environment.

    Raises:
        SettingsError, NothingRunning: It names none that are there.
        MillraceError: Something is asked for that a database would have, and none is known.
    """
    async with connected(find(load_settings())) as services:
        yield services


async def job_of(services: Services, job_id: str) -> Found:
    """A job.

    Raises:
        MillraceError: There is none.
    """
    try:
        return await find_job(services, job_id, TENANT)
    except Problem:
        raise MillraceError(f"there is no job {job_id}: `./millrace jobs` lists those that there are") from None


async def entries_of_job(services: Services, job_id: str) -> list[tuple[str, dict[str, str]]]:
    """What happened to a job, oldest first: from lifecycle, and from history what that has no longer.

    Raises:
        MillraceError: There is no such job.
    """
    found = await job_of(services, job_id)
    return [(entry.entry_id, entry.fields) async for entry in entries_of(services, found)]


async def print_failures(services: Services, job_id: str, most: int = 5) -> None:
    """Say what of a job was dead-lettered, and why."""
    letters = await dead_letters_of(services, await job_of(services, job_id))
    for letter in letters[:most]:
        say(f"  {letter['stage']} #{letter['task']}: {letter['reason']}: {first_line(letter['error'], 400)}", "red")
    if len(letters) > most:
        say(f"  … and {len(letters) - most} more: `./millrace dlq list`", "red")


def need_store(services: Services) -> None:
    """Refuse to go on without a database.

    Raises:
        MillraceError: None is known.
    """
    if services.database is None:
        raise MillraceError(
            "results, logs and history are in PostgreSQL, and none is known: set MILLRACE_DATABASE_URL beside "
            "MILLRACE_REDIS_URL, or start `./millrace up`"
        )
