"""Whether the log is whole: every entry has a job that names it, every open task an entry, every counter its sum.

`look` reads, in pages that hold the server up for a millisecond or two; `mend` repairs, each repair one script that
looks again before it writes.
"""

from streams.doctor.look import Survey, Suspect, survey
from streams.doctor.mend import Mended, mend

__all__ = ["Mended", "Survey", "Suspect", "mend", "survey"]
