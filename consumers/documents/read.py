"""The text of a document of any kind that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from consumers.documents.kinds import Kind, kind_of
from consumers.documents.limits import ReadLimits
from consumers.documents.readers.mail import read_eml, read_msg
from consumers.documents.readers.office import read_docx, read_pptx, read_xlsx
from consumers.documents.readers.pdf import Recognise, read_pdf
from consumers.documents.readers.plain import read_csv, read_markdown, read_text
from consumers.documents.readers.web import read_html
from consumers.documents.text import DocumentText

_READERS: Final[Mapping[Kind, Callable[[bytes, ReadLimits], DocumentText]]] = {
    "docx": read_docx,
    "pptx": read_pptx,
    "xlsx": read_xlsx,
    "html": read_html,
    "text": read_text,
    "markdown": read_markdown,
    "csv": read_csv,
    "eml": read_eml,
    "msg": read_msg,
}


def read_document(
    data: bytes, name: str = "", limits: ReadLimits | None = None, recognise: Recognise | None = None
) -> tuple[Kind, DocumentText]:
    """Tell what a file is and read it; made for a CPU subprocess.

    Args:
        data: The file.
        name: As uploaded, or its URL.
        limits: Caps.
        recognise: For the pages of a PDF that have no usable text.

    Raises:
        DocumentRefused: It is none that can be read, or one that should not be.
    """
    limits = limits or ReadLimits()
    kind = kind_of(data, name, limits)
    if kind == "pdf":
        return kind, read_pdf(data, limits, recognise)
    return kind, _READERS[kind](data, limits)
