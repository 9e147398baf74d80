"""The flow that the model test runs: small windows, one stage in a pool of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.policy import StagePolicy

if TYPE_CHECKING:
    from schemas.names import StageName

WINDOWS: Final[dict[StageName, int]] = {
    "crawl": 2,
    "classify": 1,
    "download": 3,
    "extract": 2,
    "compile": 4,
    "notify": 4,
}


class SmallWindows:
    """Routes of every flow alike."""

    def __init__(self) -> None:
        self.windows = dict(WINDOWS)

    def policy(self, flow: str, stage: StageName) -> StagePolicy:  # noqa: ARG002 - all flows are alike
        """The policy of a stage."""
        return StagePolicy(window=self.windows[stage], pool="heavy" if stage == "extract" else "default")
