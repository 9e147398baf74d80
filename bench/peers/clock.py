"""What every peer shares: its arguments, and the clock that ends it when all jobs passed all stages."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from threading import Lock

STAGES = ("crawl", "classify", "download", "extract", "compile", "notify")


class Chain:
    """One run of a peer: `jobs` jobs through the six stages."""

    def __init__(self, package: str, settings: str) -> None:
        cli = argparse.ArgumentParser(description=f"{package}: the six-stage chain; prints one JSON line")
        cli.add_argument("--url", required=True)
        cli.add_argument("--prefix", required=True, help="part of every key")
        cli.add_argument("--jobs", type=int, required=True)
        given = cli.parse_args()
        self.url: str = given.url
        self.prefix: str = given.prefix
        self.jobs: int = given.jobs
        self._about = {"version": importlib.metadata.version(package), "settings": settings}
        self._left = given.jobs
        self._lock = Lock()
        self._began_s = self._cpu_began_s = 0.0

    def starts(self) -> None:
        """Before the first handler: the clock starts."""
        if not self._began_s:
            self._began_s, self._cpu_began_s = time.perf_counter(), time.process_time()

    def ends(self) -> None:
        """A job passed the last stage; after the last one the process prints its figures and ends."""
        with self._lock:
            self._left -= 1
            if self._left:
                return
        transitions = self.jobs * len(STAGES)
        took_s, cpu_s = time.perf_counter() - self._began_s, time.process_time() - self._cpu_began_s
        figures = {
            "transitions_per_s": round(transitions / took_s),
            "cpu_us_per_transition": round(cpu_s / transitions * 1e6, 1), "transitions": transitions, **self._about,
        }  # fmt: skip
        out = sys.__stdout__ or sys.stdout  # Celery puts a log in the place of the other
        out.write(json.dumps(figures) + "\n")
        out.flush()
        os._exit(0)  # there is nothing to drain, and some of these take long to stop
