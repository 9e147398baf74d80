"""Commands that look after an installation: `migrate`, `doctor`, `bench`."""

import platform
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from api.cli.root import run
from api.cli.screen import Json, bytes_text, next_step, path_text, print_json, print_table, say

if TYPE_CHECKING:
    from api.environment import Place
    from api.services import Services

STYLES = {"ok": "green", "note": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the doctor found.

    Attributes:
        what: Looked at.
        state: ``ok``, ``note`` (works, but know it) or ``bad``.
        found: In words.
        cure: What to do; empty when nothing is to be done.
    """

    what: str
    state: Literal["ok", "note", "bad"]
    found: str
    cure: str = ""


def migrate(*, as_json: Json = False) -> None:
    """Bring the database to this version's schema."""
    from api.environment import find
    from consumers.store import upgrade
    from schemas.settings import load_settings
    from streams.errors import MillraceError

    settings = load_settings()
    database_url = settings.database_url.get_secret_value() if settings.database_url else find(settings).database_url
    if database_url is None:
        raise MillraceError("no database is known: set MILLRACE_DATABASE_URL, or start `./millrace up`")
    run(upgrade(database_url))
    if as_json:
        print_json({"migrated": True})
        return
    say("The tables are up to date.", "green")
    next_step(("doctor", "looks at the rest"))


def doctor(*, as_json: Json = False) -> None:
    """Look at connections, versions, durability and workers; say what to do."""
    from schemas.settings import load_settings

    settings = load_settings()
    findings = run(_examined(settings))
    if as_json:
        for finding in findings:
            print_json(asdict(finding))
    else:
        from rich.text import Text

        rows = [
            (Text(one.state, STYLES[one.state]), one.what, f"{one.found}{'. ' + one.cure if one.cure else ''}")
            for one in findings
        ]
        print_table(("", "", ""), rows)
        bad = sum(one.state == "bad" for one in findings)
        say(f"{bad} to be cured." if bad else "All is well.", "red" if bad else "green")
        next_step(("streams", "shows what waits and runs"))
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(1)


def bench(
    *,
    jobs: Annotated[int, typer.Option(min=100, help="Jobs of six transitions in a throughput run.")] = 5_000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that the pipeline and its floor take turns.")] = 3,
    as_json: Json = False,
) -> None:
    """Measure throughput beside its floor, latency and memory, on a server of its own; takes a minute or two."""
    from api.bench import Plan
    from api.bench import bench as measured

    def told(text: str) -> None:
        if not as_json:
            say(f"  {text}", "bright_black")

    with _bench_server() as redis_url:
        figures = run(measured(redis_url, Plan(jobs=jobs, rounds=rounds), told))
    if as_json:
        print_json(figures)
        return
    figures.pop("runs", None)  # each single one; the medians are above
    print_table(("", ""), list(_figures(figures)))
    next_step(("bench --json", "prints them for programs"))


@contextmanager
def _bench_server() -> Iterator[str]:
    """MILLRACE_REDIS_URL, or an embedded server that serves nobody else, as durable as the one that ships."""
    from schemas.settings import load_settings
    from streams.embedded import EmbeddedServers

    settings = load_settings()
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    with (
        tempfile.TemporaryDirectory(prefix="millrace-bench-") as home,
        EmbeddedServers.start(Path(home), postgres=False) as servers,
    ):
        yield servers.redis_url


def _figures(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each figure, those of groups one by one."""
    for name, value in values.items():
        said = prefix + name.replace("_", " ")
        if isinstance(value, dict):
            yield from _figures(value, f"{said}: ")
        else:
            yield said, f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


async def _examined(settings: Any) -> list[Finding]:
    from api.environment import NothingRunning, connected, find

    findings = [Finding("millrace", "ok", f"{version('millrace')} on Python {platform.python_version()}")]
    try:
        place = find(settings)
    except NothingRunning as error:
        return [*findings, Finding("servers", "bad", str(error))]
    async with connected(place) as services:
        findings += [one async for one in _redis(services, place)]
        findings += [one async for one in _database(services)]
        findings += [one async for one in _workers(services)]
    findings.append(Finding("artifacts", "ok", path_text_or_url(settings.artifacts_location)))
    return findings


def path_text_or_url(location: str) -> str:
    """A folder as a person would type it, or the URL."""
    return location if "://" in location else path_text(Path(location))


async def _redis(services: "Services", place: "Place") -> AsyncIterator[Finding]:
    from redis.exceptions import RedisError

    try:
        info: dict[str, Any] = await services.client.info()
    except (RedisError, OSError) as error:
        yield Finding("Redis", "bad", f"does not answer: {error}", "Is MILLRACE_REDIS_URL right, and the server up?")
        return
    name = "Valkey" if "valkey_version" in info else "Redis"
    number = str(info.get("valkey_version", info.get("redis_version", "?")))
    # Its own address is safe to show: the embedded server has no password. MILLRACE_REDIS_URL may hold one.
    where = f"embedded at {place.redis_url}:" if place.is_embedded else "your own"
    yield Finding("Redis", "ok", f"{where} {name} {number}, {bytes_text(info.get('used_memory', 0))} used")
    try:
        await services.client.function_list()
    except RedisError:
        yield Finding("Redis", "bad", "it is older than 7.0", "Use Redis >= 7.0 or Valkey >= 8")
    policy = str(info.get("maxmemory_policy", ""))
    if policy not in {"noeviction", ""}:
        yield Finding(
            "eviction", "bad", f"maxmemory-policy is {policy}: the server may drop entries and records",
            "Set it to noeviction",
        )  # fmt: skip
    else:
        yield Finding("eviction", "ok", "maxmemory-policy is noeviction: nothing is dropped")
    yield await _persistence(services, info)


async def _persistence(services: "Services", info: dict[str, Any]) -> Finding:
    from redis.exceptions import RedisError

    if not info.get("aof_enabled"):
        return Finding(
            "persistence", "bad", "there is no append-only file: accepted jobs are lost with the server's memory",
            "Set appendonly yes",
        )  # fmt: skip
    try:
        asked = await services.client.config_get("appendfsync")
        fsync = {str(_text(name)): str(_text(value)) for name, value in asked.items()}.get("appendfsync", "unknown")
    except RedisError:
        fsync = "unknown (CONFIG is not allowed)"
    if fsync == "always":
        return Finding(
            "persistence", "ok", "append-only file, synced before each answer: an accepted job survives a crash"
        )
    if fsync == "no":
        return Finding(
            "persistence",
            "bad",
            "appendfsync is no: a crash of the machine loses accepted jobs",
            "Set everysec or always",
        )
    return Finding("persistence", "note", f"appendfsync is {fsync}: a crash of the machine may lose the last second")


async def _database(services: "Services") -> AsyncIterator[Finding]:
    from sqlalchemy import text

    from streams.errors import TransientError

    if services.database is None:
        yield Finding("PostgreSQL", "bad", "none is known", "Set MILLRACE_DATABASE_URL, or start `./millrace up`")
        return
    try:
        async with services.store.database.begin() as session:
            number = await session.scalar(text("SHOW server_version"))
            vector = await session.scalar(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
            is_migrated = await session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    except TransientError as error:
        yield Finding("PostgreSQL", "bad", str(error))
        return
    where = "embedded" if services.settings.database_url is None else "your own"
    yield Finding(
        "PostgreSQL", "ok", f"{where} {str(number).partition(' ')[0]}" + (f", pgvector {vector}" if vector else "")
    )
    if not is_migrated:
        yield Finding("tables", "bad", "they are not there", "Run `./millrace migrate`")


async def _workers(services: "Services") -> AsyncIterator[Finding]:
    from redis.exceptions import RedisError

    from api import fleet
    from api.cli.overview import overview

    try:
        seen, streams = await overview(services), await fleet.streams(services)
    except (RedisError, OSError):
        return
    if not seen.workers:
        yield Finding("workers", "note", "none is running", "Start `./millrace up` or `./millrace worker`")
    else:
        yield Finding("workers", "ok", f"{len(seen.workers)} running, {seen.in_hand} entries in hand")
    served = {pool for worker in seen.workers for pool in worker["pools"]}
    for pool in sorted({one["pool"] for one in streams if one["lag"]} - served):
        if seen.workers:
            yield Finding(
                f"pool {pool}", "bad", "it has work and no worker", f"Start `./millrace worker --pools {pool}`"
            )
    if seen.dead:
        yield Finding("dead letters", "note", f"{seen.dead}", "`./millrace dlq list` shows them")


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
