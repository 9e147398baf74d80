"""Shadow replay: what a job would come to with today's code, with no effect outside, beside what it came to then."""

from consumers.shadow.compare import Difference, differences
from consumers.shadow.gather import Original, gathered
from consumers.shadow.run import Shadowed, shadow

__all__ = ["Difference", "Original", "Shadowed", "differences", "gathered", "shadow"]
