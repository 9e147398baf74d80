"""Peers: what else people use, doing the same six-stage chain on the same server, at least once.

Each is a program of its own under ``bench/peers/`` and says with which settings it ran. They come with an extra, which
may live in another environment than Millrace (``--peers-python``); BullMQ comes with npm. One that is not installed is
told so, with the command that installs it.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from api.bench.ground import Ground
from api.bench.processes import ROOT, output
from api.bench.statistics import middle

FOLDER: Final = ROOT / "bench" / "peers"
EXTRA: Final = "pip install '.[peers]'"
NPM: Final = "npm install --prefix bench/peers"
PEERS: Final = ("celery", "dramatiq", "taskiq", "streaq", "faststream", "bullmq")
PACKAGES: Final = {"taskiq": "taskiq-redis"}
"""Whose name differs from the peer's."""
NODE: Final = "bullmq"
GIVE_UP_S: Final = 120.0
FIGURES: Final = ("transitions_per_s", "cpu_us_per_transition", "server_cpu_us_per_transition")

_VERSIONS: Final = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_BULLMQ: Final = "require('ioredis'); console.log(JSON.stringify({bullmq: require('bullmq/package.json').version}))"


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them.

    Attributes:
        command: Starts it; empty when it is not installed.
        install: The command that installs it.
    """

    name: str
    command: tuple[str, ...]
    install: str


async def found(peers_python: str = "") -> dict[str, Peer]:
    """All peers, those that are not installed without a command.

    Args:
        peers_python: Python that has them; empty: this one.
    """
    python = peers_python or sys.executable
    packages = {name: PACKAGES.get(name, name) for name in PEERS if name != NODE}
    there = await _asked([python, "-c", _VERSIONS, *packages.values()])
    peers = {
        name: Peer(name, (python, str(FOLDER / f"{name}_chain.py")) if package in there else (), EXTRA)
        for name, package in packages.items()
    }
    node = shutil.which("node")
    has_bullmq = node is not None and NODE in await _asked([node, "-e", _BULLMQ])
    peers[NODE] = Peer(NODE, (node, str(FOLDER / "bullmq_chain.cjs")) if node and has_bullmq else (), NPM)
    return peers


async def _asked(command: list[str]) -> dict[str, Any]:
    """What a command prints as JSON; nothing when it fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=FOLDER
        )
    except OSError:
        return {}
    out, _ = await process.communicate()
    answer: dict[str, Any] = orjson.loads(out) if process.returncode == 0 else {}
    return answer


@dataclass(slots=True)
class Contest:
    """The peers' part of the rounds."""

    ground: Ground
    peers: Mapping[str, Peer]
    _runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)

    async def round(self) -> None:
        """Each peer once; one that fails is not tried again, and its error is kept."""
        for name, peer in self.peers.items():
            if not peer.command or name in self._failed:
                continue
            self.ground.told(f"  {name}")
            try:
                self._runs.setdefault(name, []).append(await self._run(peer))
            except (RuntimeError, TimeoutError, orjson.JSONDecodeError, IndexError) as error:
                self._failed[name] = f"{type(error).__name__}: {error}"[-500:]

    async def _run(self, peer: Peer) -> dict[str, Any]:
        prefix = f"bench-peer-{uuid.uuid4().hex[:12]}"
        before = await self.ground.cpu_s()
        try:
            async with asyncio.timeout(GIVE_UP_S):
                run = await output(
                    [*peer.command, "--url", self.ground.redis_url, "--prefix", prefix,
                     "--jobs", str(self.ground.plan.peer_jobs)],
                    {"PYTHONPATH": ""},
                )  # fmt: skip
        finally:
            await self.ground.remove(f"*{prefix}*")
        server_cpu_s = await self.ground.cpu_s() - before
        run["server_cpu_us_per_transition"] = round(server_cpu_s / run["transitions"] * 1e6, 1)
        return run

    def figures(self, ours_per_s: float) -> dict[str, Any]:
        """By peer: its medians and how many times as fast we are; or what kept it from running.

        Args:
            ours_per_s: Transitions a second of the shipped pipeline in the same rounds.
        """
        told: dict[str, Any] = {}
        for name, peer in self.peers.items():
            if name in self._failed:
                told[name] = {"failed": self._failed[name]}
            elif name not in self._runs:
                told[name] = {"not_installed": peer.install}
            else:
                runs = self._runs[name]
                medians = middle([{figure: run[figure] for figure in FIGURES} for run in runs])
                told[name] = {
                    **medians, "times_as_fast": round(ours_per_s / medians["transitions_per_s"], 1),
                    "version": runs[0]["version"], "settings": runs[0]["settings"],
                }  # fmt: skip
        return told
