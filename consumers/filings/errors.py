"""Why a document cannot be read, as values that tell the cases apart."""

from __future__ import annotations

from typing import Literal

DocumentReason = Literal[
    "empty",
    "truncated",
    "encrypted",
    "damaged",
    "unsupported_type",
    "too_many_pages",
    "image_only",
    "garbled_text",
]


class DocumentError(Exception):
    """A document that cannot be read, however often it is tried.

    Attributes:
        reason: `empty` no bytes or no content; `truncated` cut off; `encrypted` needs a password;
            `damaged` no reader can open it; `unsupported_type` neither PDF nor HTML;
            `too_many_pages` over the cap; `image_only` pages are pictures, OCR is needed;
            `garbled_text` the text layer does not decode, OCR is needed.
        detail: What was seen and what to do, for a person.
        page_count: 0 when unknown.
    """

    def __init__(self, reason: DocumentReason, detail: str, page_count: int = 0) -> None:
        super().__init__(reason, detail, page_count)
        self.reason: DocumentReason = reason
        self.detail = detail
        self.page_count = page_count

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
