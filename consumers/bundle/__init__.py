"""A job bundle: what is known of a job in one file, to run its tasks again elsewhere, under a debugger or in a test."""

from consumers.bundle.bundle import BadBundle, Bundle, BundledFile, BundledTask, Facts, read_bundle, write_bundle
from consumers.bundle.run import Tried, try_task

__all__ = [
    "BadBundle",
    "Bundle",
    "BundledFile",
    "BundledTask",
    "Facts",
    "Tried",
    "read_bundle",
    "try_task",
    "write_bundle",
]
