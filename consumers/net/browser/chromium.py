"""Which Chromium is started, how, and how its processes are found and ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import psutil

from streams.errors import PermanentError

NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_MAC: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_KEPT_VARIABLES: Final = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "FONTCONFIG_PATH")


def find(configured: str | None) -> str:
    """Path of the browser to start.

    Args:
        configured: The operator's choice, which must exist.

    Raises:
        PermanentError: ``browser_missing``; the text says how to get one.
    """
    if configured is not None:
        if Path(configured).is_file():
            return configured
        raise PermanentError(
            f"MILLRACE_CHROMIUM is {configured!r}, where there is no browser; correct it or unset it to use the one "
            "on PATH",
            reason="browser_missing",
        )
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    found = found or next((path for path in _MAC if Path(path).is_file()), None)
    if found is None:
        raise PermanentError(
            "no Chromium was found on PATH; install one (Debian: apt-get install chromium; macOS: brew install "
            "--cask chromium) or name it in MILLRACE_CHROMIUM",
            reason="browser_missing",
        )
    return found


def is_installed(configured: str | None) -> bool:
    """Whether there is a browser to start; see `find`."""
    try:
        find(configured)
    except PermanentError:
        return False
    return True


def arguments(mark: str) -> list[str]:
    """Switches that keep the browser to what a page needs, and to the proxy.

    Args:
        mark: Names the processes of one browser; see `processes`.

    Source: chromium's docs/security and "Chrome Flags for Tooling" (GoogleChrome/chrome-launcher).
    """
    return [
        f"--millrace-browser={mark}",
        # Names are resolved by the proxy alone, and nothing leaves by another way.
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--disable-quic",
        "--dns-prefetch-disable",
        "--no-pings",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-features=MediaRouter,OptimizationHints,AutofillServerCommunication,InterestFeedContentSuggestions",
        "--no-first-run",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--mute-audio",
    ]


def environment(environ: Mapping[str, str]) -> dict[str, str | float | bool]:
    """What the browser sees of our environment: no key and no URL with a password."""
    return {name: environ[name] for name in _KEPT_VARIABLES if name in environ}


def is_sandboxed() -> bool:
    """Whether Chromium can have its own sandbox: not as root, where it refuses to start with it."""
    return os.geteuid() != 0


def processes(mark: str) -> Iterator[psutil.Process]:
    """Every process of the browser with this mark: the one that was started, then its children."""
    switch = f"--millrace-browser={mark}"
    for process in psutil.Process().children(recursive=True):
        try:
            if switch in process.cmdline():
                yield process
                yield from process.children(recursive=True)
                return
        except psutil.NoSuchProcess:
            continue


def memory_bytes(mark: str) -> int:
    """Resident memory of all its processes; shared pages count in each."""
    total = 0
    for process in processes(mark):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def kill(mark: str) -> int:
    """SIGKILL all its processes; returns how many there were."""
    found = list(processes(mark))
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return len(found)
