"""Width and height of an image, from its first bytes.

Sources: PNG (RFC 2083, 4.1.1), GIF89a, WebP container (Google, "WebP Container Specification"), JPEG (ITU T.81, B.2.2).
"""

from __future__ import annotations

import struct
from typing import Final

START_BYTES: Final = 64 * 1024
"""As much as a JPEG may have before its frame header: thumbnails and profiles come first."""

_JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})


def image_size(start: bytes) -> tuple[int, int] | None:
    """Pixels (width, height) of a PNG, GIF, WebP or JPEG; None when its start does not tell."""
    try:
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            found: tuple[int, int] | None = struct.unpack_from(">II", start, 16)
        elif start[:6] in {b"GIF87a", b"GIF89a"}:
            found = struct.unpack_from("<HH", start, 6)
        elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            found = _webp(start)
        elif start.startswith(b"\xff\xd8"):
            found = _jpeg(start)
        else:
            return None
    except (struct.error, IndexError):
        return None  # cut off before it says so
    return found if found is not None and all(found) else None


def _webp(start: bytes) -> tuple[int, int] | None:
    kind = start[12:16]
    if kind == b"VP8X":
        return (1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little"))
    if kind == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 " and start[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", start, 26)
        return (width & 0x3FFF, height & 0x3FFF)
    return None


def _jpeg(start: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 4 <= len(start):
        if start[at] != 0xFF:  # noqa: PLR2004 - every marker begins so
            return None
        marker = start[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - fill bytes
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", start, at + 5)
            return (width, height)
        else:
            at += 2 + int(struct.unpack_from(">H", start, at + 2)[0])
    return None
