"""What can go wrong with the embedded servers."""

from pathlib import Path

from streams.errors import MillraceError


class EmbeddedError(MillraceError):
    """A server could not be started or stopped; the text ends with what to do."""


class AlreadyRunning(EmbeddedError):  # noqa: N818 - it says what is the case
    """Another process owns the servers of this home.

    Attributes:
        home: The folder in question.
        pid: The owner, or None when it has not said so yet.
    """

    def __init__(self, home: Path, pid: int | None) -> None:
        self.home = home
        self.pid = pid
        owner = f"process {pid}" if pid is not None else "another process"
        cure = f"stop it (kill {pid})" if pid is not None else "stop it"
        super().__init__(
            f"The servers in {home} already belong to {owner}. Use that one, {cure}, "
            "or give this one a folder of its own with MILLRACE_HOME."
        )
