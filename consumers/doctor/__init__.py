"""Is this installation well? What is looked at, what it says, and what can be repaired.

Facts are gathered thinly and judged by pure functions. `examine` looks; `repair` mends, and is what ``doctor --fix``
and the scheduled maintenance call.
"""

from consumers.doctor.examine import Patient, examine, itself
from consumers.doctor.finding import Finding
from consumers.doctor.repairs import Repaired, repair

__all__ = ["Finding", "Patient", "Repaired", "examine", "itself", "repair"]
