"""Results, history and logs in PostgreSQL."""

from consumers.store.compiling import compile_company
from consumers.store.history import Projected, project
from consumers.store.logs import LogLine, LogShipper
from consumers.store.memory import MemoryStore, NeedsDatabase
from consumers.store.migrate import upgrade
from consumers.store.pages import BadCursorError, Page
from consumers.store.store import Store

__all__ = [
    "BadCursorError",
    "LogLine",
    "LogShipper",
    "MemoryStore",
    "NeedsDatabase",
    "Page",
    "Projected",
    "Store",
    "compile_company",
    "project",
    "upgrade",
]
