"""Every scenario, in the order in which they are written. Each takes a fresh world."""

from __future__ import annotations

from tests.integration.model import entry_scenarios, job_scenarios, replay_scenarios
from tests.integration.model.staging import SCENARIOS

__all__ = ["SCENARIOS", "entry_scenarios", "job_scenarios", "replay_scenarios"]
