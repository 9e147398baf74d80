"""`worker --reload`, with a program of our own in a tree of our own."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from api.cli.reload import changed, sources
from tests.support.servers import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("drained", flush=True), sys.exit(0)))
print(open(sys.argv[1]).read().strip(), flush=True)
signal.pause()
"""
RELOADER = """
import sys
from pathlib import Path
from api.cli.reload import reloading
sys.exit(reloading([sys.executable, "-c", sys.argv[1], sys.argv[2]], Path(sys.argv[3]), ["flow"]))
"""


def test_a_changed_file_drains_what_runs_and_starts_it_again(tmp_path: Path) -> None:
    source = tmp_path / "flow" / "stages.py"
    source.parent.mkdir()
    source.write_text("one")
    with subprocess.Popen(
        [sys.executable, "-c", RELOADER, PROGRAM, str(source), str(tmp_path)],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "one\n"
        source.write_text("two")
        assert [process.stdout.readline() for _ in range(2)] == ["drained\n", "two\n"]
        (source.parent / "script.lua").write_text("three")
        assert [process.stdout.readline() for _ in range(2)] == ["drained\n", "two\n"]
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "drained\n"
        assert process.wait(10) == 0


def test_only_sources_count(tmp_path: Path) -> None:
    (tmp_path / "flow").mkdir()
    before = sources(tmp_path, ["flow"])
    (tmp_path / "flow" / "notes.txt").write_text("x")
    assert changed(before, sources(tmp_path, ["flow"])) == []
    (tmp_path / "flow" / "new.py").write_text("x")
    assert changed(before, sources(tmp_path, ["flow"])) == [tmp_path / "flow" / "new.py"]
