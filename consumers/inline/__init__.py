"""Running a flow in this process, without servers: for tests, for trying things out, for one-off runs."""

from consumers.inline.progress import Progress
from consumers.inline.run import Entry, InlineRun, run_inline

__all__ = ["Entry", "InlineRun", "Progress", "run_inline"]
