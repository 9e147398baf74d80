"""The `leads_maintenance` flow: the lead books kept in order, for all tenants, a chore a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from consumers.maintenance.flow import maintenance
from consumers.maintenance.leads_chores import clean_up, dedupe, statistics
from consumers.maintenance.yard import Chore

CHORES: Final[Mapping[str, Chore]] = {"clean_up": clean_up, "dedupe": dedupe, "statistics": statistics}

flow = maintenance("leads_maintenance", CHORES, "keeps the lead book in order; the built-in schedules submit it")
