"""Schedules: jobs that are submitted again and again, each tick once, by whichever process comes first."""

from consumers.schedules.book import Book, Kept, NoSuchSchedule
from consumers.schedules.ticker import Ticker

__all__ = ["Book", "Kept", "NoSuchSchedule", "Ticker"]
