"""How much of a hostile document is looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Caps of one document. What is over a cap is cut, and said so; what cannot be cut is refused.

    Attributes:
        max_pages: Pages or slides read.
        max_chars: Characters of text kept.
        max_rows: Rows read of one sheet.
        max_cells: Cells read of one document.
        max_entries: Files within a container (DOCX, PPTX, XLSX).
        max_unpacked_bytes: What a container may unpack to.
        max_ratio: Unpacked to packed size of one file of a container, above `ratio_from_bytes`.
        ratio_from_bytes: Below this unpacked size any ratio is fine.
    """

    max_pages: int = 2_000
    max_chars: int = 20_000_000
    max_rows: int = 100_000
    max_cells: int = 1_000_000
    max_entries: int = 10_000
    max_unpacked_bytes: int = 512 * 1024 * 1024
    max_ratio: int = 200
    ratio_from_bytes: int = 16 * 1024 * 1024
