"""A worker: the tree of services that reads, runs, renews, reclaims and settles."""
