"""The durable log: entries, leases, moves and timers on Redis streams; knows no stage."""
