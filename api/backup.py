"""Backup and restore of all that Millrace keeps: the log, the database, the artifacts.

The order makes it consistent. Stages keep bytes and rows before the log says that they are done, so what the log of an
instant names is in a database and a store that are copied after it. What those have beyond that instant is harmless: a
task that runs again writes the same again, and jobs that only history knows are told by the doctor.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import orjson
from sqlalchemy import text

from consumers.store.database import Database
from streams import snapshot
from streams.embedded import EmbeddedServers
from streams.embedded.binaries import WHEEL, postgres_programs
from streams.errors import PermanentError
from streams.objects import Objects, open_objects

if TYPE_CHECKING:
    from api.environment import Place
    from api.services import Services
    from schemas.settings import Settings

LOG: Final = "redis.rdb"
DATABASE: Final = "postgres.dump"
ARTIFACTS: Final = "artifacts"
MANIFEST: Final = "manifest.json"
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z")
_PASSWORD: Final = re.compile(r"//([^/@:]*):([^/@]*)@")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup has.

    Attributes:
        name: Its folder's: when it was begun, UTC.
        redis_program: What the log's server must be to read it; empty for any.
        sha256: File -> digest.
        artifacts: Objects that the store had; they are shared by the backups of a folder.
    """

    name: str
    version: str
    namespace: str
    redis_program: str
    sha256: dict[str, str]
    artifacts: int
    artifact_bytes: int


async def back_up(services: Services, place: Place, folder: Path, say: Say) -> Backup:
    """Write a backup into a folder that keeps several; safe beside everything that runs.

    Raises:
        PermanentError: There is no database, the log is a Cluster, or its user may not SYNC.
        TransientError: A server broke off.
    """
    if place.database_url is None:
        raise PermanentError("no database is known: set MILLRACE_DATABASE_URL", reason="no_database")
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"[:-3] + "Z"
    draft = folder / f".{name}.draft"
    draft.mkdir(parents=True)
    info: dict[str, Any] = await services.client.info("server")
    say("the log …")
    await snapshot.take(services.client, draft / LOG)
    say("the database …")
    await _pg(
        postgres_programs().dump, place.database_url, "--format=custom", "--no-owner", f"--file={draft / DATABASE}"
    )
    say("the artifacts …")
    count, size = await _copy(open_objects(services.settings.artifacts_location), open_objects(str(folder / ARTIFACTS)))
    reader = WHEEL if "valkey_version" in info else ""
    digests = {one: await asyncio.to_thread(_digest, draft / one) for one in (LOG, DATABASE)}
    made = Backup(name, version("millrace"), services.keys.namespace, reader, digests, count, size)
    (draft / MANIFEST).write_bytes(orjson.dumps(asdict(made), option=orjson.OPT_INDENT_2))
    draft.rename(folder / name)
    await services.client.set(services.keys.backup, orjson.dumps({"at": time.time(), "name": name}))
    return made


async def restore(
    settings: Settings, folder: Path, *, name: str = "", redis_data: Path | None = None, say: Say
) -> Backup:
    """Put a backup back where the settings say, which must be empty: embedded servers that do not run, or your own.

    Args:
        settings: Where to.
        folder: That `back_up` wrote into.
        name: Which of its backups; the last one when empty.
        redis_data: Data folder of your own server, which is stopped; with MILLRACE_REDIS_URL only.
        say: Told of each step.

    Raises:
        PermanentError: There is no such backup, it is damaged, or there is data already.
        AlreadyRunning: The embedded servers run.
    """
    source = _find(folder, name)
    made = Backup(**orjson.loads((source / MANIFEST).read_bytes()))
    for file, sha256 in made.sha256.items():
        if await asyncio.to_thread(_digest, source / file) != sha256:
            raise PermanentError(f"{source / file} is damaged: take an earlier backup", reason="damaged")
    if settings.redis_url is not None and redis_data is None:
        raise PermanentError(
            "MILLRACE_REDIS_URL names a server of your own: stop it, and give its data folder with --redis-data",
            reason="no_redis_data",
        )
    home = settings.home
    if settings.redis_url is None:
        redis_data = home / "valkey"
    assert redis_data is not None  # noqa: S101 - one of the two holds
    with EmbeddedServers.start(home, redis=False, postgres=settings.database_url is None) as servers:
        say("the log …")
        snapshot.put_back(source / LOG, redis_data)
        if settings.redis_url is None and made.redis_program:
            (home / "valkey.json").write_bytes(orjson.dumps({"program": made.redis_program}))
        say("the database …")
        url = settings.database_url.get_secret_value() if settings.database_url else servers.database_url
        await _need_empty(url)
        await _pg(postgres_programs().restore, url, "--no-owner", "--exit-on-error", str(source / DATABASE))
        say("the artifacts …")
        await _copy(open_objects(str(folder / ARTIFACTS)), open_objects(settings.artifacts_location))
    return made


def _find(folder: Path, name: str) -> Path:
    names = sorted(one.name for one in folder.iterdir() if _NAME.fullmatch(one.name)) if folder.is_dir() else []
    if not names or (name and name not in names):
        there = f"there are {', '.join(names)}" if names else "there is none"
        raise PermanentError(f"{folder} has no backup {name or 'at all'}: {there}", reason="no_backup")
    return folder / (name or names[-1])


async def _need_empty(url: str) -> None:
    database = Database(url)
    try:
        async with database.begin() as session:
            is_there = await session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    finally:
        await database.close()
    if is_there:
        raise PermanentError(
            f"PostgreSQL at {database.place} has tables of Millrace: restore into an empty database", reason="not_empty"
        )


async def _pg(program: Path, url: str, *arguments: str) -> None:
    """Run pg_dump or pg_restore; the password goes by the environment, where no list of processes shows it."""
    parts = urlsplit(url)
    environment = dict(os.environ)
    if parts.password:
        environment["PGPASSWORD"] = unquote(parts.password)
        url = _PASSWORD.sub(r"//\1@", url, count=1)
    process = await asyncio.create_subprocess_exec(
        program, "--no-password", f"--dbname={url}", *arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        raise PermanentError(
            f"{program.name} failed: {said.decode(errors='replace').strip()[-1_000:]}", reason=program.name
        )


async def _copy(source: Objects, target: Objects) -> tuple[int, int]:
    """Copy what the target lacks; answers how much the source has. Objects never change, so a size tells enough."""
    count = size = 0
    try:
        async for stored in source.list(""):
            count, size = count + 1, size + stored.size_bytes
            if await target.size(stored.key) != stored.size_bytes:
                await target.put(stored.key, await source.get(stored.key, stored.key))
    finally:
        source.close()
        target.close()
    return count, size


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
