"""requirements.lock serves every platform we name, and says nothing about where it was made."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = (REPOSITORY / "requirements.lock").read_text()
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE)
}
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

PLATFORMS = [
    pytest.param({"python_version": python, "python_full_version": f"{python}.9", **system}, id=f"{name}-{python}")
    for python in ("3.11", "3.12", "3.13")
    for name, system in (
        ("linux", {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}),
        ("macos", {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"}),
    )
]


def declared(extra: str) -> Iterator[Requirement]:
    for line in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            for other in requirement.extras:
                yield from declared(other)
        else:
            yield requirement


def required(
    requirement: Requirement, environment: dict[str, str], seen: set[tuple[str, str]]
) -> Iterator[Requirement]:
    """The requirement and all that it brings along, as installed here but judged for `environment`."""
    yield requirement
    for extra in ("", *requirement.extras):
        key = (canonicalize_name(requirement.name), extra)
        if key in seen:
            continue
        seen.add(key)
        for line in distribution(requirement.name).requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({**environment, "extra": extra}):
                yield from required(needed, environment, seen)


@pytest.mark.parametrize("environment", PLATFORMS)
def test_every_requirement_is_pinned(environment: dict[str, str]) -> None:
    roots = [Requirement(line) for line in PROJECT["dependencies"]] + [*declared("demo"), *declared("test")]
    seen: set[tuple[str, str]] = set()
    for root in roots:
        try:
            for needed in required(root, environment, seen):
                name = canonicalize_name(needed.name)
                assert name in PINS, f"{name} is needed by way of {root.name}: run `make lock`"
                assert needed.specifier.contains(PINS[name], prereleases=True), f"{needed} excludes {PINS[name]}"
        except PackageNotFoundError as error:
            pytest.fail(f"{error.name} is not installed: run `make install`")


def test_nothing_tells_where_it_was_made() -> None:
    lines = [line for line in LOCK.splitlines() if not re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)]
    assert [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==\S+( ; .+)? \\|", line)] == []
    assert not re.search(r"://|file:|/(home|root|opt|tmp|work)/| @ |WARNING", LOCK)


def test_every_pin_has_a_hash() -> None:
    for block in re.split(r"\n(?=[A-Za-z0-9])", LOCK)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]
