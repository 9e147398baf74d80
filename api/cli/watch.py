"""What `up`, `api` and `worker` do in the foreground: revive the servers, pass signals on, show how things are."""

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from redis.exceptions import RedisError
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from api.autoscale import LOOK_EVERY_S, Autoscale
from api.cli.screen import PROGRAM, complain, console, duration_text, path_text, print_json, say, warn
from consumers.worker.presence import presence
from streams.connect import AWAY
from streams.errors import MillraceError

if TYPE_CHECKING:
    from api.environment import Host
    from api.services import Services
    from api.up import Tree, Workers
    from schemas.settings import Settings

TICK_S: Final = 0.25
REVIVE_EVERY_S: Final = 1.0
LOG_FILE: Final = "millrace.log"
LOG_BYTES: Final = 16 << 20
"""A larger log file is put aside at the start; one is kept."""
SHOWN_LINES: Final = 5
"""Warnings shown of one tick; the rest is in the log file."""
SLOW_START_S: Final = 30.0
SIGTERM_CODE: Final = 143


class Watch:
    """The foreground of a process tree."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._is_live = not as_json and console().is_terminal
        self._began = time.monotonic()
        self._began_at = time.time()
        self._line = Text()
        self._interrupts = 0
        self._is_ready = False
        self._was_slow = False
        self._moves: tuple[float, int] | None = None
        self._scaling: Autoscale | None = None
        self._scaled_at = 0.0

    def begin(self, settings: "Settings") -> None:
        """Say that something takes a moment."""
        if self._is_live and settings.redis_url is None:
            first = "" if (settings.home / "valkey.json").exists() else " (the first time takes some seconds)"
            say(f"Starting Valkey and PostgreSQL in {path_text(settings.home)}{first} …", "bright_black")

    def log_file(self, settings: "Settings") -> Path | None:
        """Where the processes' log lines go: to a file when a person looks on, else to stderr."""
        if not self._is_live:
            return None
        settings.home.mkdir(parents=True, exist_ok=True)
        path = settings.home / LOG_FILE
        with suppress(FileNotFoundError):
            if path.stat().st_size > LOG_BYTES:
                path.replace(path.with_suffix(".log.1"))
        return path

    def until_ended(
        self, tree: "Tree", host: "Host", workers: "Workers", address: tuple[str, int] | None, log: Path | None
    ) -> int:
        """Stay until the tree has ended; answers the exit code."""
        return asyncio.run(self._watch(tree, host, workers, address, log))

    async def _watch(
        self, tree: "Tree", host: "Host", workers: "Workers", address: tuple[str, int] | None, log: Path | None
    ) -> int:
        from api.environment import connected

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled, number, tree, host)
        lines = _Lines(log)
        if workers.most > workers.processes:
            self._scaling = Autoscale(workers.processes, workers.most)
        revive = asyncio.create_task(self._revive(host))
        async with connected(host.place) as services:
            screen = Live(Text(), console=console(), refresh_per_second=8, transient=True) if self._is_live else None
            spinner = Spinner("dots", style="cyan")
            try:
                if screen is not None:
                    screen.start()
                while tree.is_running:
                    if revive.done():
                        revive.result()
                    await self._look(services, workers, address, host, log)
                    await self._scale(services, workers, tree)
                    if screen is not None:
                        lines.print_new()
                        spinner.update(text=self._line)
                        screen.update(spinner)
                    await asyncio.sleep(TICK_S)
            except MillraceError as error:
                complain(str(error))
                tree.drain()
                await asyncio.to_thread(tree.wait)
                return 1
            finally:
                revive.cancel()
                if screen is not None:
                    screen.stop()
        lines.print_new()
        return self._ended(tree, host)

    def _warn(self, text: str) -> None:
        warn(text, stderr=not self._is_live)

    def _ended(self, tree: "Tree", host: "Host") -> int:
        code = tree.exit_code or 0
        clean = code == 0
        if self._as_json:
            print_json({"event": "stopped", "clean": clean, "after_s": round(time.monotonic() - self._began, 1)})
        elif clean:
            say(
                "Stopped. "
                + ("Everything is kept" + (f" in {path_text(host.place.settings.home)}" if host.servers else "") + ".")
            )
        else:
            warn("some processes had to be killed; what they held runs again at the next start")
        return 0 if clean else 1

    def _signalled(self, number: int, tree: "Tree", host: "Host") -> None:
        if number == signal.SIGHUP and not os.isatty(0):
            tree.roll()
            return
        self._interrupts += 1
        if self._interrupts == 1:
            grace_s = host.place.settings.drain_s
            if not self._as_json:
                say(f"Stopping: work in hand has {grace_s:g} s to finish (Ctrl-C again kills it) …")
            tree.drain()
        elif number == signal.SIGINT:
            tree.kill()

    async def _revive(self, host: "Host") -> None:
        """Start again what has died of the servers."""
        while host.servers is not None:
            await asyncio.sleep(REVIVE_EVERY_S)
            for name in await asyncio.to_thread(host.servers.revive):
                self._warn(f"{name} had died and was started again")

    async def _look(
        self, services: "Services", workers: "Workers", address: tuple[str, int] | None, host: "Host", log: Path | None
    ) -> None:
        from api.cli.overview import overview

        try:
            seen = await overview(services)
        except (*AWAY, RedisError, MillraceError) as error:
            self._line = Text(f"the log is away: {error}", "yellow")
            return
        if not self._is_ready:
            mine = self._mine(seen.workers, workers)
            answers = address is None or await asyncio.to_thread(_answers, address)
            if len(mine) >= workers.processes and answers:
                self._is_ready = True
                self._announce(workers, address, host, log)
            elif time.monotonic() - self._began > SLOW_START_S and not self._was_slow:
                self._was_slow = True
                what = f"{len(mine)} of {workers.processes} workers" if answers else "the API"
                self._warn(
                    f"this takes long ({what} so far); the log says why" + (f": {path_text(log)}" if log else "")
                )
        if self._interrupts:
            self._line = Text(f"stopping: {seen.in_hand} in hand", "yellow")
        elif not self._is_ready:
            self._line = Text("starting …", "bright_black")
        else:
            self._line = self._status(seen)

    async def _scale(self, services: "Services", workers: "Workers", tree: "Tree") -> None:
        from api import fleet

        now = time.monotonic()
        if self._scaling is None or not self._is_ready or self._interrupts or now - self._scaled_at < LOOK_EVERY_S:
            return
        self._scaled_at = now
        try:
            mine = self._mine(await presence(services.client, services.keys), workers)
            rows = await fleet.streams(services)
        except (*AWAY, RedisError):
            return
        waiting = sum(row["lag"] for row in rows if row["pool"] in workers.pools and row["stage"] in workers.stages)
        change = self._scaling.look(len(mine), waiting, sum(one["in_hand"] for one in mine))
        if change:
            tree.scale(more=change > 0)

    def _mine(self, records: list[dict[str, Any]], workers: "Workers") -> list[dict[str, Any]]:
        """Those of the workers that this tree started."""
        host = socket.gethostname()
        return [
            one for one in records
            if one["host"] == host and one["name"].startswith(workers.name) and one["started_at"] >= self._began_at
        ]  # fmt: skip

    def _status(self, seen: Any) -> Text:
        now = time.monotonic()
        last, self._moves = self._moves, (now, seen.moves)
        rate = (seen.moves - last[1]) / (now - last[0]) if last and now > last[0] else 0.0
        parts = [f"{len(seen.workers)} workers", f"{seen.in_hand} in hand", f"{seen.waiting} waiting"]
        if seen.delayed:
            parts.append(f"{seen.delayed} delayed")
        parts.append(f"{rate:,.0f} moves/s")
        line = Text(" · ".join(parts))
        if seen.dead:
            line.append(f" · {seen.dead} dead letters", "red")
        return line.append(f"   up {duration_text(now - self._began)}", "bright_black")

    def _announce(self, workers: "Workers", address: tuple[str, int] | None, host: "Host", log: Path | None) -> None:
        url = f"http://{_host(address[0])}:{address[1]}/" if address else None
        after = duration_text(time.monotonic() - self._began)
        home = path_text(host.place.settings.home)
        if self._as_json:
            print_json(
                {"event": "ready", "pid": os.getpid(), "dashboard": url, "workers": workers.processes,
                 "home": str(host.place.settings.home), "after_s": round(time.monotonic() - self._began, 1)}
            )  # fmt: skip
            return
        say(f"Millrace is up after {after}.", "bold green")
        if url:
            say(f"  dashboard  {url}", "bold")
            say(f"  API        {url}api/v1   documented at {url}docs")
        if workers.processes:
            what = "all flows" if not workers.flows else ", ".join(workers.flows)
            say(f"  workers    {workers.processes} processes: {what}; pools {', '.join(workers.pools)}")
        say(f"  data       {home}" if host.place.is_embedded else "  data       your own servers (MILLRACE_REDIS_URL)")
        if host.servers is None and host.place.is_embedded:
            say("             the servers belong to another Millrace process of this home", "bright_black")
        if log is not None:
            say(f"  log        {path_text(log)}")
        for notice in host.notices:
            say(f"  note       {notice}", "bright_black")
        say(f"Next, in another terminal: {PROGRAM} submit --help. Ctrl-C stops.", "bright_black")


class _Lines:
    """Warnings and errors of a log file, as they are added."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._at = path.stat().st_size if path is not None and path.exists() else 0

    def print_new(self) -> None:
        if self._path is None:
            return
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._at)
            added = file.read()
            end = added.rfind(b"\n") + 1
            self._at += end
        told = [line for line in map(_told, added[:end].splitlines()) if line is not None]
        for line in told[:SHOWN_LINES]:
            console().print(line, soft_wrap=True)
        if len(told) > SHOWN_LINES:
            say(f"… and {len(told) - SHOWN_LINES} more lines in {path_text(self._path)}", "bright_black")


def _told(line: bytes) -> Text | None:
    try:
        entry = orjson.loads(line)
        level = entry["level"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return None
    if level not in {"WARNING", "ERROR", "CRITICAL"}:
        return None
    where = " ".join(str(entry[name]) for name in ("job_id", "stage") if name in entry)
    return Text.assemble(
        (str(entry.get("time", ""))[11:19], "bright_black"), " ",
        (level.lower(), "yellow" if level == "WARNING" else "red"), " ", str(entry.get("message", "")), " ",
        (where, "bright_black"),
    )  # fmt: skip


def leave_on_sigterm() -> None:
    """End as at Ctrl-C, so that what was started is stopped, until a loop takes the signal over."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(SIGTERM_CODE))


def _answers(address: tuple[str, int]) -> bool:
    with suppress(OSError), socket.create_connection((_reachable(address[0]), address[1]), timeout=0.5) as connection:
        connection.settimeout(1.0)
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(16).startswith(b"HTTP/1.")
    return False


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is listened on, not by us


def _host(host: str) -> str:
    host = _reachable(host)
    return f"[{host}]" if ":" in host else host
