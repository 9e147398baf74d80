"""compose.yaml and the Dockerfile, checked without an engine, and by Compose v2 where it is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from schemas.names import POOLS
from schemas.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"


def load(text: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(text)
    return document


def undefined(compose: dict[str, Any]) -> list[str]:
    """What services name that is not defined: the schema does not look at that."""
    missing = []
    for name, service in compose["services"].items():
        named = [str(one).partition(":")[0] for one in service.get("volumes", ())]
        wanted = {
            "services": service.get("depends_on", ()),
            "networks": service.get("networks", ()),
            "secrets": service.get("secrets", ()),
            "configs": service.get("configs", ()),
            "volumes": [volume for volume in named if not volume.startswith((".", "/"))],
        }
        missing += [
            f"{name}: {kind}: {one}"
            for kind, names in wanted.items()
            for one in names
            if one not in compose.get(kind, {})
        ]
    return missing


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return load(COMPOSE.read_text(encoding="utf-8"))


def test_it_is_valid_by_the_schema(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    assert subprocess.run([*command, COMPOSE], check=False).returncode == 0
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text(encoding="utf-8").replace("healthcheck:", "health_check:"), encoding="utf-8")
    assert subprocess.run([*command, wrong], check=False, capture_output=True).returncode == 1


def test_everything_that_is_named_is_defined(compose: dict[str, Any]) -> None:
    assert undefined(compose) == []
    broken = load(
        "services: {a: {depends_on: {b: {}}, volumes: ['v:/data', './here:/there'], networks: [n], secrets: [s]}}"
    )
    assert undefined(broken) == ["a: services: b", "a: networks: n", "a: secrets: s", "a: volumes: v"]


@pytest.mark.skipif(
    subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode != 0  # noqa: S607
    if shutil.which("docker")
    else True,
    reason="Compose v2 is not here",
)
def test_compose_itself_takes_it(tmp_path: Path) -> None:
    settings = tmp_path / ".env"
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    settings.write_text(re.sub(r"PASSWORD=$", "PASSWORD=invented", example, flags=re.MULTILINE), encoding="utf-8")
    command = ["docker", "compose", "--env-file", str(settings), "--file", str(COMPOSE), "config", "--quiet"]
    assert subprocess.run(command, check=False).returncode == 0


def test_only_the_api_and_jaeger_are_published_and_on_loopback(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert set(ports) == {"api", "jaeger"}
    assert all(port.startswith("127.0.0.1:") for listed in ports.values() for port in listed)
    assert compose["networks"]["log"] == {"internal": True}
    assert compose["services"]["redis"]["networks"] == compose["services"]["postgres"]["networks"] == ["log"]


def test_no_password_has_a_default_and_every_variable_is_explained(compose: dict[str, Any]) -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    used = re.findall(r"(?<!\$)\$\{([A-Z_]+)(:[-?][^}]*)?\}", text)
    passwords = {(name, fallback) for name, fallback in used if "PASSWORD" in name}
    assert {name for name, _ in passwords} == {"REDIS_PASSWORD", "REDIS_PRODUCER_PASSWORD", "POSTGRES_PASSWORD"}
    assert all(fallback == ":?set it in .env" for _, fallback in passwords)
    assert not re.findall(r"^\w*PASSWORD=.+$", example, re.MULTILINE)
    for name, _ in passwords:
        assert f"\n{name}=" in example
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for service in compose["services"].values():
        passed = {name for name in service.get("environment", {}) if name.startswith(ENV_PREFIX)}
        assert passed <= known


def test_every_pool_has_its_workers_and_they_say_that_they_are_well(compose: dict[str, Any]) -> None:
    workers = {name: one for name, one in compose["services"].items() if name.startswith("worker-")}
    pools = [pool for one in workers.values() for pool in one["command"][2].split(",")]
    assert sorted(pools) == sorted(POOLS)
    for one in workers.values():
        assert one["healthcheck"]["test"] == ["CMD", "millrace", "health", "worker"]
        assert one["deploy"]["replicas"] >= 1
    for name in ("redis", "postgres", "api"):
        assert compose["services"][name]["healthcheck"]


def test_the_image_is_built_from_what_exists_and_runs_without_root(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)
    assert len(stages) > 1
    for service in compose["services"].values():
        if "build" in service:
            assert service["build"]["target"] in stages
    users = re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)
    assert users[-1] == "10001:10001"
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        assert all((ROOT / path).exists() for path in copied.split())
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    assert {"requirements.lock", "api", "consumers", "schemas", "streams"} <= kept


@pytest.mark.skipif(
    not (shutil.which("hadolint") or (Path(sys.executable).parent / "hadolint").exists()), reason="none"
)
def test_hadolint_has_nothing_to_say() -> None:
    program = shutil.which("hadolint") or Path(sys.executable).parent / "hadolint"
    told = subprocess.run([program, "--format", "json", ROOT / "Dockerfile"], check=False, capture_output=True)
    assert json.loads(told.stdout) == []
