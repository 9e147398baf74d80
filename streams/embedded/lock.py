"""Who is alive, told by the kernel: a file lock that goes away with its last holder.

A server inherits the descriptor of its lock when it is started. The lock is therefore held for exactly as long
as the server (or a child of it) lives, whoever started it and however that one ended. No process id is trusted.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

POLL_S = 0.01


class FileLock:
    """An exclusive flock(2) on `path`. Not reentrant.

    Children made by fork without exec give their copy up at once, so a worker that outlives its parent does not
    keep the parent's lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        os.register_at_fork(after_in_child=self.close)

    def acquire(self, timeout_s: float = 0.0) -> bool:
        """Take the lock, waiting up to `timeout_s`; False when somebody else has it."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(fd)
                    return False
                time.sleep(POLL_S)
            except BaseException:
                os.close(fd)
                raise
            else:
                self._fd = fd
                return True

    @property
    def is_held(self) -> bool:
        """Whether this object has the lock."""
        return self._fd is not None

    def is_held_elsewhere(self) -> bool:
        """Whether another process has the lock now. It is taken for an instant to find out."""
        if not self.acquire():
            return True
        self.close()
        return False

    def fileno(self) -> int:
        """The descriptor to hand to a child (`pass_fds`), which holds the lock from then on.

        Raises:
            ValueError: The lock is not held.
        """
        if self._fd is None:
            raise ValueError(f"the lock {self.path} is not held")
        return self._fd

    def close(self) -> None:
        """Give up this process's copy. Children that inherited the descriptor keep the lock."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def write_pid(self) -> None:
        """Record this process in the file, for the message that a second owner gets."""
        os.ftruncate(self.fileno(), 0)
        os.pwrite(self.fileno(), f"{os.getpid()}\n".encode(), 0)

    def read_pid(self) -> int | None:
        """The process recorded last, or None."""
        with suppress(OSError, ValueError):
            return int(self.path.read_text())
        return None
