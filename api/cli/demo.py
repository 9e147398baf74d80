"""`millrace demo`: the main job from beginning to end on this machine alone, said step by step."""

import asyncio
import functools
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.rule import Rule
from rich.text import Text

from api.cli.screen import Json, complain, console, duration_text, next_step, path_text, print_json, say, warn
from streams.errors import MillraceError

if TYPE_CHECKING:
    from api.environment import Host, Place
    from api.services import Services
    from api.up import Tree
    from schemas.jobs import JobView
    from schemas.settings import Settings

SITE_HOST: Final = "127.0.0.1"
SITE_PORT: Final = 8765
"""The same each time when it is free, so that the site's addresses, and what is known of them, stay the same."""
FOLDER: Final = "demo"
READY_WITHIN_S: Final = 60.0
POLL_S: Final = 0.05


def demo(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="What to show.")] = "filings",
    *,
    site: Annotated[bool, typer.Option("--site", help="Only serve the demo's site, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the site; 0 takes a free one.")] = SITE_PORT,
    as_json: Json = False,
) -> None:
    """Show the main job end to end: embedded servers, a company's site on loopback, offline."""
    from api.cli.flow_commands import known_flow
    from api.cli.watch import leave_on_sigterm
    from schemas.settings import load_settings

    known_flow(flow)
    settings = load_settings()
    if settings.redis_url or settings.database_url or settings.artifacts_url:
        warn("the demo runs on embedded servers; MILLRACE_REDIS_URL and the like are left alone")
        settings = settings.model_copy(update={"redis_url": None, "database_url": None, "artifacts_url": None})
    leave_on_sigterm()
    raise typer.Exit(_Demo(settings, flow, as_json=as_json).run(port, site_only=site))


class _Demo:
    """One run, and how it speaks."""

    def __init__(self, settings: "Settings", flow: str, *, as_json: bool) -> None:
        self._settings = settings
        self._flow = flow
        self._as_json = as_json
        self._began = time.monotonic()
        self._number = 0

    def run(self, port: int, *, site_only: bool) -> int:
        """All of it; answers the exit code."""
        from api.environment import hosted
        from streams.embedded import AlreadyRunning

        folder = self._site()
        if site_only:
            asyncio.run(_serve_alone(folder, _port(port)))
            return 0
        port = _port(port)
        # Only the demo's own site, whatever else the operator allows.
        settings = self._settings.model_copy(update={"allow_hosts": (f"{SITE_HOST}:{port}",)})
        began = time.monotonic()
        try:
            with hosted(settings, join=False) as host:
                self._step("servers", f"Valkey and PostgreSQL, data in {path_text(settings.home)}", began)
                return self._on(host, folder, port)
        except AlreadyRunning as error:
            raise MillraceError(
                f"Millrace runs here already (process {error.pid}); its workers may not reach the demo's site: stop "
                "it, or run the demo in a folder of its own: MILLRACE_HOME=.millrace-demo ./millrace demo"
            ) from None

    def _site(self) -> Path:
        from api.demo.build import ensure_site
        from api.demo.company import NAME

        began = time.monotonic()
        self._settings.home.mkdir(parents=True, exist_ok=True)
        folder = ensure_site(self._settings.home)
        reports = len(list(folder.rglob("*.pdf")))
        self._step(
            "site", f"{NAME}, a company that we invented: its website and {reports} PDFs, {path_text(folder)}", began
        )
        return folder

    def _on(self, host: "Host", folder: Path, port: int) -> int:
        from api.environment import default_processes
        from api.up import Plan, Tree, Workers
        from consumers.supervisor import Role

        began = time.monotonic()
        workers = Workers(default_processes())
        log = self._settings.home / FOLDER / "workers.log"
        log.parent.mkdir(exist_ok=True)
        beside = (Role("site", 1, functools.partial(_serve, folder, port)),)
        tree = Tree.start(Plan(host.place, workers, log=log, beside=beside))
        try:
            return asyncio.run(self._job(tree, host.place, port, workers.processes, began, log))
        finally:
            _end(tree)

    async def _job(self, tree: "Tree", place: "Place", port: int, processes: int, began: float, log: Path) -> int:
        from api.cli.lookup import TENANT, entries_of_job
        from api.cli.progress import print_ended, shown, wait_for
        from api.environment import connected
        from consumers.submit import submit
        from schemas.jobs import JobRequest

        site = f"http://{SITE_HOST}:{port}/"
        async with connected(place) as services:
            await _ready(tree, services, port, processes, log)
            self._step(
                "workers",
                f"{processes} processes; jobs may reach {SITE_HOST}:{port} and the public web, no more",
                began,
            )
            spec = {"url": site} if self._flow == "filings" else {}
            request = JobRequest(flow=self._flow, spec=spec)
            submitted = await submit(services.log, services.flows, request)
            command = f"./millrace submit {self._flow}" + (f" {site}" if spec else "")
            self._step("job", f"{submitted.job_id}, as with: {command}", None)
            with shown(as_json=self._as_json) as show:
                view = await wait_for(services, submitted.job_id, show)
            entries = await entries_of_job(services, submitted.job_id)
            found = await services.store.results.get(submitted.job_id, tenant=TENANT)
        code = (
            print_ended(view, as_json=False) if not self._as_json else int(view.status not in {"succeeded", "partial"})
        )
        self._outcome(view, found.payload if found is not None else None, entries, log)
        return code

    def _outcome(self, view: "JobView", payload: Any, entries: Any, log: Path) -> None:
        from dataclasses import asdict

        from api.cli.results import print_result, save_result
        from api.waterfall import trace_of, waterfall

        trace = trace_of(entries)
        files = (
            save_result(self._flow, payload, self._settings.home / FOLDER, view.job_id) if payload is not None else []
        )
        if self._as_json:
            print_json(
                {"event": "ended", "job": view.model_dump(mode="json"), "result": payload, "trace": asdict(trace),
                 "files": [str(file) for file in files], "after_s": round(time.monotonic() - self._began, 1)}
            )  # fmt: skip
            return
        if payload is not None:
            self._title("What it compiled")
            print_result(self._flow, payload)
        if files:
            self._title("Files")
            for file in files:
                say(f"  {path_text(file)}")
        self._title("Its trace")
        console().print(waterfall(trace, max_rows=40))
        if view.status not in {"succeeded", "partial"}:
            say(f"What the workers said is in {path_text(log)}.", "bright_black")
        took = duration_text(time.monotonic() - self._began)
        self._title(f"Done in {took}; everything is kept in {path_text(self._settings.home)}")
        next_step(
            ("up", f"opens it again: http://{SITE_HOST}:{self._settings.api_port}/jobs/{view.job_id}"),
            ("demo --site", "serves the company's site again"),
        )

    def _title(self, text: str) -> None:
        console().print()
        console().print(Rule(Text(text, "bold"), align="left", style="bright_black"))

    def _step(self, event: str, text: str, began: float | None) -> None:
        self._number += 1
        if self._as_json:
            print_json({"event": event, "text": text})
            return
        took = f"  {duration_text(time.monotonic() - began)}" if began is not None else ""
        console().print(
            Text.assemble((f"{self._number} {event:<8}", "bold green"), text, (took, "bright_black")), soft_wrap=True
        )


async def _ready(tree: "Tree", services: "Services", port: int, processes: int, log: Path) -> None:
    """Wait until the site answers and the workers are there.

    Raises:
        MillraceError: They are not in time.
    """
    from consumers.worker.presence import presence

    deadline = time.monotonic() + READY_WITHIN_S
    while tree.is_running and time.monotonic() < deadline:
        if _listens(port) and len(await presence(services.client, services.keys)) >= processes:
            return
        await asyncio.sleep(POLL_S)
    raise MillraceError(f"the workers did not start; what they said is in {path_text(log)}")


def _end(tree: "Tree") -> None:
    """Drain the tree, and wait for its end; Ctrl-C kills it."""
    tree.drain()
    while tree.is_running:
        try:
            tree.wait()
        except KeyboardInterrupt:
            complain("killing what still runs")
            tree.kill()


def _port(wanted: int) -> int:
    """`wanted` when it is free, else one that is."""
    for port in (wanted, 0):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((SITE_HOST, port))
            probe.listen(1)
            free: int = probe.getsockname()[1]
            return free
    raise MillraceError(f"no port is free on {SITE_HOST} for the demo's site")


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((SITE_HOST, port), timeout=1):
        return True
    return False


def _serve(folder: Path, port: int, _: str) -> None:
    """The site's process: serve until told to stop."""
    asyncio.run(_serve_until_told(folder, port))


async def _serve_until_told(folder: Path, port: int) -> None:
    from api.demo.site import DemoSite

    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with DemoSite.serve(folder, port):
        await told.wait()


async def _serve_alone(folder: Path, port: int) -> None:
    from api.demo.site import DemoSite

    async with DemoSite.serve(folder, port) as site:
        say(f"The site is at {site.url}. Ctrl-C stops it.", "bold")
        next_step(
            (
                f"submit filings {site.url} --wait",
                f"reads it, when `up` runs with MILLRACE_ALLOW_HOSTS={SITE_HOST}:{port}",
            )
        )
        await asyncio.Event().wait()
