"""`worker --reload`: run the command again when a source file changed; what runs is drained first."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from api.cli.screen import warn

LOOK_S: Final = 0.4
KINDS: Final = frozenset({".py", ".lua"})
FOLDERS: Final = ("api", "consumers", "schemas", "streams")


def sources(root: Path, folders: Sequence[str] = FOLDERS) -> dict[Path, int]:
    """Every source file below some folders of a tree, with when it was changed."""
    found: dict[Path, int] = {}
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.suffix in KINDS:
                try:
                    found[path] = path.stat().st_mtime_ns
                except FileNotFoundError:
                    continue  # an editor is at it
    return found


def changed(before: Mapping[Path, int], after: Mapping[Path, int]) -> list[Path]:
    """Files that were changed, made or removed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def reloading(command: Sequence[str], root: Path, folders: Sequence[str] = FOLDERS) -> int:
    """Run a command, and again each time a source file changed; answers its exit code when it was told to stop.

    A command that ended by itself (a mistake in the source, say) is run again at the next change.
    """
    told: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: told.append(number))
    seen = sources(root, folders)
    # A group of its own: Ctrl-C is passed on once, by us.
    process = subprocess.Popen(command, process_group=0)  # noqa: S603 - this very program
    while not told:
        time.sleep(LOOK_S)
        now = sources(root, folders)
        if files := changed(seen, now):
            seen = now
            warn(f"{files[0].relative_to(root)} changed: the workers drain and start again")
            _end(process)
            process = subprocess.Popen(command, process_group=0)  # noqa: S603 - as above
    return _end(process)


def _end(process: "subprocess.Popen[bytes]") -> int:
    if process.poll() is None:
        process.terminate()
    return process.wait()
