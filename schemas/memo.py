"""What the memo saved."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class MemoStage(BaseModel):
    """Results of one stage: computed here, or had from memo."""

    model_config = ConfigDict(frozen=True)

    computed: int = 0
    reused: int = 0


class MemoView(MemoStage):
    """Of a job, or of all jobs of a replay.

    Attributes:
        saved_s: Seconds that the reused results had taken to compute.
        stages: By stage.
    """

    saved_s: float = 0.0
    stages: dict[str, MemoStage] = {}
