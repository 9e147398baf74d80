"""What Millrace can do on this machine and this server: `millrace bench`.

::

    catalogue   the measurements by name      ground      the server that is measured on
    rounds      floor, pipelines, peers       processes   started programs; `worker` is one of them
    latency intake growth recovery claims scaling         one measurement each, or a few
    capacity statistics chart report          pure: calculated, drawn and written
"""

from api.bench.catalogue import BY_NAME, MEASUREMENTS, UnknownMeasurement, bench
from api.bench.plan import Plan

__all__ = ["BY_NAME", "MEASUREMENTS", "Plan", "UnknownMeasurement", "bench"]
