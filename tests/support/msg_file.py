"""A mail as Outlook saves it: an OLE compound file with a storage for each recipient and attachment.

Source: [MS-CFB] 2 (compound file, version 3) and [MS-OXMSG] 2 (names and property streams).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

Tree = Mapping[str, "bytes | Tree"]

SECTOR: Final = 512
MINI: Final = 64
MINI_BELOW: Final = 4_096
END: Final = 0xFFFFFFFE
FAT: Final = 0xFFFFFFFD
FREE: Final = 0xFFFFFFFF
NONE: Final = 0xFFFFFFFF

_UNICODE: Final = 0x001F
_INT: Final = 0x0003
_BINARY: Final = 0x0102
_TIME: Final = 0x0040


def msg_file(*, body: str | None = "The sluice stays shut until Monday.", html: bytes | None = None) -> bytes:
    """A mail with a subject, a sender, two recipients, a date and an attachment."""
    sent = datetime(2024, 3, 9, 8, 30, tzinfo=UTC)
    root: dict[int, str | bytes | datetime | int] = {
        0x001A: "IPM.Note", 0x0037: "Grüße from the weir", 0x0C1A: "Ada Miller", 0x0C1F: "ada@example.com",
        0x0039: sent, 0x340D: 0x0004_0000,
    }  # fmt: skip
    if body is not None:
        root[0x1000] = body
    if html is not None:
        root |= {0x1013: html, 0x3FDE: 65_001}
    tree: dict[str, bytes | Tree] = {
        "__nameid_version1.0": {},
        **_object(root, bytes(8) + struct.pack("<4I", 2, 1, 2, 1) + bytes(8)),
    }
    for number, address in enumerate(("bo@example.com", "cy@example.com")):
        tree[f"__recip_version1.0_#{number:08X}"] = _object({0x3001: address, 0x39FE: address}, bytes(8))
    tree["__attach_version1.0_#00000000"] = _object({0x3707: "plan.pdf", 0x3701: b"%PDF-" * 2_000, 0x3705: 1}, bytes(8))
    return compound_file(tree)


def _object(properties: Mapping[int, str | bytes | datetime | int], head: bytes) -> dict[str, bytes | Tree]:
    """The streams of a message, recipient or attachment: fixed properties in one, each other in its own."""
    streams: dict[str, bytes | Tree] = {}
    entries = head
    for pid, value in properties.items():
        match value:
            case int():
                kind, fixed = _INT, struct.pack("<q", value)
            case datetime():
                ticks = int((value - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
                kind, fixed = _TIME, struct.pack("<q", ticks)
            case _:
                kind = _UNICODE if isinstance(value, str) else _BINARY
                stored = value.encode("utf-16-le") if isinstance(value, str) else value
                streams[f"__substg1.0_{pid:04X}{kind:04X}"] = stored
                fixed = struct.pack("<II", len(stored) + (2 if kind == _UNICODE else 0), 0)
        entries += struct.pack("<HHI", kind, pid, 6) + fixed
    return {"__properties_version1.0": entries, **streams}


def compound_file(tree: Tree) -> bytes:
    """An OLE compound file of storages (mappings) and streams (bytes)."""
    builder = _Builder()
    builder.add("Root Entry", tree, kind=5)
    return builder.built()


class _Builder:
    def __init__(self) -> None:
        self._entries: list[list[int | str]] = []  # name, kind, right, child, start, size
        self._sectors: list[bytes] = []
        self._next: list[int] = []
        self._mini = b""
        self._mini_next: list[int] = []

    def add(self, name: str, content: bytes | Tree, *, kind: int = 1) -> int:
        """Add an entry of the directory with what is below it; its number."""
        at = len(self._entries)
        self._entries.append([name, kind, NONE, NONE, END if isinstance(content, bytes) else 0, 0])
        if isinstance(content, bytes):
            self._entries[at][1] = 2
            self._entries[at][5] = len(content)
            self._entries[at][4] = self._mini_chain(content) if len(content) < MINI_BELOW else self._chain(content)
            return at
        # Sorted by length, then by letters; a tree that leans to the right is a tree.
        last = None
        for child in sorted(content, key=lambda name: (len(name), name.upper())):
            number = self.add(child, content[child])
            if last is None:
                self._entries[at][3] = number
            else:
                self._entries[last][2] = number
            last = number
        return at

    def _chain(self, content: bytes) -> int:
        first = len(self._sectors)
        pieces = [content[start : start + SECTOR] for start in range(0, len(content), SECTOR)]
        self._sectors += [piece.ljust(SECTOR, b"\0") for piece in pieces]
        self._next += [first + number + 1 for number in range(len(pieces) - 1)] + [END]
        return first

    def _mini_chain(self, content: bytes) -> int:
        if not content:
            return END
        first = len(self._mini_next)
        count = -(-len(content) // MINI)
        self._mini += content.ljust(count * MINI, b"\0")
        self._mini_next += [first + number + 1 for number in range(count - 1)] + [END]
        return first

    def built(self) -> bytes:
        """The file."""
        if self._mini:
            self._entries[0][4], self._entries[0][5] = self._chain(self._mini), len(self._mini)
        else:
            self._entries[0][4] = END
        mini_fat = self._chain(_table(self._mini_next)) if self._mini_next else END
        directory = self._chain(b"".join(map(_entry, self._entries)).ljust(-(-len(self._entries) // 4) * SECTOR, b"\0"))
        count = 1
        while count * SECTOR // 4 < len(self._next) + count:
            count += 1
        fat = len(self._sectors)
        self._next += [FAT] * count
        table = _table(self._next).ljust(count * SECTOR, b"\xff")
        mini_sectors = -(-len(self._mini_next) * 4 // SECTOR)
        head = struct.pack(
            "<8s16s5H6s9I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, count, directory,
            0, MINI_BELOW, mini_fat, mini_sectors, END, 0,
        )  # fmt: skip
        places = struct.pack(f"<{count}I", *range(fat, fat + count)).ljust(109 * 4, b"\xff")
        return head + places + b"".join(self._sectors) + table


def _table(numbers: list[int]) -> bytes:
    table = struct.pack(f"<{len(numbers)}I", *numbers)
    return table.ljust(-(-len(table) // SECTOR) * SECTOR, b"\xff")


def _entry(entry: list[int | str]) -> bytes:
    name, kind, right, child, start, size = entry
    written = (str(name) + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBB3I16sI8s8sIQ", written, len(written), kind, 1, NONE, right, child, b"", 0, b"", b"", start, size
    )
