"""PostgreSQL refuses to run as root: the user it runs as then, and folders that user can reach."""

import os
import pwd
import stat
import subprocess
import tempfile
from pathlib import Path

from streams.embedded.errors import EmbeddedError
from streams.embedded.process import RunAs

USER = "millrace"
SHARED = Path("/var/lib/millrace")
"""Where data and programs go that root keeps in a folder closed to others (/root is one)."""


def run_as(data: Path) -> RunAs | None:
    """The user for `data`: None (ourselves) unless we are root; then its owner, else the user `USER`.

    Raises:
        EmbeddedError: There is no such user and none can be made.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return _named(pwd.getpwuid(owner))
    try:
        return _named(pwd.getpwnam(USER))
    except KeyError:
        pass
    try:
        command = ("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER)
        subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - a fixed command, no shell
        return _named(pwd.getpwnam(USER))
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the user {USER} for it cannot be made ({error}). Run Millrace as "
            "another user, or set MILLRACE_DATABASE_URL to a server that runs."
        ) from error


def is_open(path: Path) -> bool:
    """Whether any user can pass through every folder down to `path` (which need not exist)."""
    return all(not parent.exists() or parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def is_runnable(program: Path) -> bool:
    """Whether any user can run `program`."""
    return is_open(program) and program.stat().st_mode & 0o005 == 0o005  # noqa: PLR2004 - r-x for others


def new_folder() -> Path:
    """A new folder under `SHARED` that other users can pass through."""
    return make_open(Path(tempfile.mkdtemp(dir=make_open(SHARED))))


def make_open(folder: Path) -> Path:
    """Make `folder`, with its parents, such that other users can pass through it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    return folder


def _named(entry: pwd.struct_passwd) -> RunAs:
    return RunAs(entry.pw_name, entry.pw_uid, entry.pw_gid)
