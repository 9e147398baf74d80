"""deploy/: units that systemd takes, and scaling on metrics that exist."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from api import metrics
from schemas.names import POOLS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
PROGRAM = "/opt/millrace/.venv/bin/millrace"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    installed = str(Path(sys.executable).parent / "millrace")
    for unit in UNITS:
        name = unit.name.replace("@.", "@default.")
        (tmp_path / name).write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, installed), encoding="utf-8")
    program = shutil.which("systemd-analyze") or ""
    command = [program, "verify", "--man=no", "--recursive-errors=no", *map(str, tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "millrace" in line]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("unit", [one for one in UNITS if one.suffix == ".service"], ids=lambda one: one.name)
def test_a_unit_runs_a_command_without_root_and_waits_for_the_drain(unit: Path) -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(unit)
    service = parsed["Service"]
    assert service["User"] == "millrace"
    assert service["ProtectSystem"] == "strict"
    command = service["ExecStart"].split()
    assert command[0] == PROGRAM
    if command[1] == "worker":
        assert int(service["TimeoutStopSec"]) >= 45
        assert service["KillMode"] == "mixed"


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not here")
def test_logrotate_takes_its_file() -> None:
    program = shutil.which("logrotate") or ""
    done = subprocess.run([program, "--debug", DEPLOY / "logrotate" / "millrace"], capture_output=True, check=False)
    assert done.returncode == 0


def test_scaling_looks_at_a_metric_that_exists_for_every_pool() -> None:
    objects: list[dict[str, Any]] = list(YAML(typ="safe").load_all(DEPLOY / "keda" / "scaledobject.yaml"))
    named = Path(metrics.__file__).read_text(encoding="utf-8")
    pools = []
    for one in objects:
        assert one["kind"] == "ScaledObject"
        assert one["spec"]["minReplicaCount"] >= 1
        (trigger,) = one["spec"]["triggers"]
        (metric, selected) = re.findall(r'sum\((\w+)\{pool=~?"([^"]+)"\}\)', trigger["metadata"]["query"])[0]
        assert f'"{metric}"' in named
        pools += selected.split("|")
    assert sorted(pools) == sorted(POOLS)
