"""Redis, PostgreSQL, the artifact store, clocks, and where traces and mail go: are they there, and as they must be?"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from redis.exceptions import RedisError
from sqlalchemy import text

from consumers.doctor.finding import Finding
from streams.connect import AWAY
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from consumers.doctor.examine import Patient

CLOCK_NOTE_S: Final = 1.0
CLOCK_BAD_S: Final = 5.0
"""Beyond a lease, times of one machine mean nothing on another."""
MEMORY_NOTE: Final = 0.8
MEMORY_BAD: Final = 0.95
CONNECT_S: Final = 3.0
NOBODY: Final = "0" * 64


async def redis(patient: Patient, where: str) -> AsyncIterator[Finding]:
    """The log's server."""
    began_s = time.time()
    try:
        info: dict[str, Any] = await patient.client.info()
        seconds, micros = await patient.client.time()
    except (RedisError, *AWAY) as error:
        yield Finding("Redis", "bad", f"does not answer: {error}", "Is MILLRACE_REDIS_URL right, and the server up?")
        return
    if all(isinstance(value, dict) for value in info.values()):  # a Cluster answers by node
        info = next(iter(info.values()))
    yield judge_version(info, where)
    try:
        await patient.client.function_list()
    except RedisError as error:
        # What may not be asked is there: only a server that lacks the command is too old.
        if "unknown command" in str(error).lower():
            yield Finding("Redis", "bad", "it is older than 7.0", "Use Redis >= 7.0 or Valkey >= 8")
    yield judge_eviction(str(info.get("maxmemory_policy", "")))
    yield judge_persistence(bool(info.get("aof_enabled")), await _fsync(patient.client))
    yield judge_memory(int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)))
    if patient.settings.wait_replicas:
        yield judge_replicas(int(info.get("connected_slaves", 0)), patient.settings.wait_replicas)
    yield judge_clock("Redis", (int(seconds) + int(micros) / 1e6) - (began_s + time.time()) / 2)


def judge_version(info: Mapping[str, Any], where: str) -> Finding:
    """Which server it is."""
    name = "Valkey" if "valkey_version" in info else "Redis"
    number = str(info.get("valkey_version", info.get("redis_version", "?")))
    return Finding("Redis", "ok", f"{where} {name} {number}, {info.get('used_memory', 0) / 2**20:,.1f} MiB used")


def judge_eviction(policy: str) -> Finding:
    """A broker that may evict is refused: it drops entries and records when it is full."""
    if policy in {"noeviction", ""}:
        return Finding("eviction", "ok", "maxmemory-policy is noeviction: nothing is dropped")
    return Finding(
        "eviction", "bad", f"maxmemory-policy is {policy}: the server may drop entries and records",
        "Set it to noeviction",
    )  # fmt: skip


def judge_persistence(has_aof: bool, fsync: str) -> Finding:  # noqa: FBT001 - the two facts that decide
    """What a crash loses."""
    if not has_aof:
        return Finding(
            "persistence", "bad", "there is no append-only file: accepted jobs are lost with the server's memory",
            "Set appendonly yes",
        )  # fmt: skip
    if fsync == "always":
        return Finding(
            "persistence", "ok", "append-only file, synced before each answer: an accepted job survives a crash"
        )
    if fsync == "no":
        return Finding(
            "persistence", "bad", "appendfsync is no: a crash of the machine loses accepted jobs",
            "Set everysec or always",
        )  # fmt: skip
    return Finding("persistence", "note", f"appendfsync is {fsync}: a crash of the machine may lose the last second")


def judge_memory(used_bytes: int, limit_bytes: int) -> Finding:
    """How near the server is to refusing submissions."""
    if not limit_bytes:
        return Finding(
            "memory", "note", "maxmemory is not set: the system may kill a server that grows", "Set maxmemory"
        )
    part = used_bytes / limit_bytes
    told = f"{part:.0%} of maxmemory ({limit_bytes / 2**20:,.0f} MiB) are used"
    if part >= MEMORY_BAD:
        return Finding("memory", "bad", f"{told}: submissions are refused when it is full", "Give it more, or wait")
    if part >= MEMORY_NOTE:
        return Finding("memory", "note", told, "Give it more before submissions are refused")
    return Finding("memory", "ok", told)


def judge_replicas(connected: int, wanted: int) -> Finding:
    """Whether submissions can be acknowledged by as many replicas as was asked for."""
    if connected < wanted:
        return Finding(
            "replicas", "bad", f"{connected} are connected and MILLRACE_WAIT_REPLICAS is {wanted}: submissions fail",
            "Start the replicas, or lower MILLRACE_WAIT_REPLICAS",
        )  # fmt: skip
    return Finding("replicas", "ok", f"{connected} are connected, {wanted} must have a submission")


def judge_clock(whose: str, ahead_s: float) -> Finding:
    """A clock beside this machine's."""
    what = f"clock of {whose}"
    told = f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's"
    if abs(ahead_s) < CLOCK_NOTE_S:
        return Finding(what, "ok", "as this machine's")
    state = "bad" if abs(ahead_s) >= CLOCK_BAD_S else "note"
    return Finding(what, "bad" if state == "bad" else "note", told, "Run an NTP client on both machines")


async def postgres(patient: Patient, where: str) -> AsyncIterator[Finding]:
    """Results and history."""
    if patient.database is None:
        yield Finding("PostgreSQL", "bad", "none is known", "Set MILLRACE_DATABASE_URL, or start `./millrace up`")
        return
    began_s = time.time()
    try:
        async with patient.database.database.begin() as session:
            number = await session.scalar(text("SHOW server_version"))
            now_s = float(await session.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)
            ended_s = time.time()
            vector = await session.scalar(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
            is_migrated = await session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
            at = await session.scalar(text("SELECT version_num FROM alembic_version")) if is_migrated else None
    except TransientError as error:
        yield Finding("PostgreSQL", "bad", str(error), "Is MILLRACE_DATABASE_URL right, and the server up?")
        return
    yield Finding(
        "PostgreSQL", "ok", f"{where} {str(number).partition(' ')[0]}" + (f", pgvector {vector}" if vector else "")
    )
    yield judge_schema(at, newest())
    yield judge_clock("PostgreSQL", now_s - (began_s + ended_s) / 2)


def judge_schema(at: str | None, wanted: str) -> Finding:
    """Whether the tables are those of this version."""
    if at is None:
        return Finding("tables", "bad", "they are not there", "Run `./millrace migrate`")
    if at != wanted:
        return Finding(
            "tables", "bad", f"they are at {at}, this version wants {wanted}",
            "Run `./millrace migrate`, or the later version that changed them",
        )  # fmt: skip
    return Finding("tables", "ok", f"they are at {at}, as this version wants")


def newest() -> str:
    """The last migration of this version."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to import, and needed here only

    from consumers.store.migrate import MIGRATIONS  # noqa: PLC0415 - as above

    return str(ScriptDirectory(str(MIGRATIONS)).get_current_head())


async def artifacts(patient: Patient, shown: str) -> Finding:
    """Whether the artifact store answers."""
    try:
        await patient.blobs.exists(NOBODY, tenant="default")
    except (TransientError, OSError) as error:
        return Finding("artifacts", "bad", f"{shown}: {error}", "Is MILLRACE_ARTIFACTS_URL right, and the store up?")
    return Finding("artifacts", "ok", shown)


async def addressees(patient: Patient) -> AsyncIterator[Finding]:
    """Where traces and mail go, when they are to go anywhere."""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    smtp = patient.settings.smtp_url
    for what, url, default, lost in (
        ("traces", endpoint, 4318, "spans are lost; `./millrace trace ID` needs none"),
        ("mail", smtp.get_secret_value() if smtp else None, 25, "mail is tried again for its deadline"),
    ):
        if url:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or default
            yield judge_reach(what, host, port, lost, answers=await _answers(host, port))


def judge_reach(what: str, host: str, port: int, lost: str, *, answers: bool) -> Finding:
    """Whether something listens there."""
    if answers:
        return Finding(what, "ok", f"{host}:{port} answers")
    return Finding(what, "note", f"{host}:{port} does not answer: {lost}", "Is the address right, and the server up?")


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _fsync(client: Any) -> str:
    try:
        asked = await client.config_get("appendfsync")
    except RedisError:
        return "unknown (CONFIG is not allowed)"
    return next((str(_text(value)) for name, value in asked.items() if _text(name) == "appendfsync"), "unknown")


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
