"""What kind of document some bytes are: told by their content; a name only settles which kind of text a text is."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Final, Literal

from consumers.documents.errors import DocumentRefused
from consumers.documents.limits import ReadLimits

Kind = Literal["pdf", "docx", "pptx", "xlsx", "html", "text", "markdown", "csv", "eml", "msg"]

MEDIA_TYPES: Final[dict[Kind, str]] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "text": "text/plain",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "eml": "message/rfc822",
    "msg": "application/vnd.ms-outlook",
}

HEAD_BYTES: Final = 8_192
_READABLE: Final = "PDF, DOCX, PPTX, XLSX, HTML, TXT, Markdown, CSV, EML or MSG"
_MAIN_PARTS: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"wordprocessingml.document.main", "docx"),
    (b"presentationml.presentation.main", "pptx"),
    (b"presentationml.slideshow.main", "pptx"),
    (b"spreadsheetml.sheet.main", "xlsx"),
    (b"wordprocessingml.template.main", "docx"),
    (b"spreadsheetml.template.main", "xlsx"),
)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Names of streams within an OLE file are UTF-16.
_OLE_MARKS: Final = (
    ("__properties_version1.0", None),
    ("EncryptedPackage", ("encrypted", "is protected by a password; save it without one and upload it again")),
    ("WordDocument", ("unsupported_type", "is a Word file of the old kind (.doc); save it as .docx")),
    ("Workbook", ("unsupported_type", "is an Excel file of the old kind (.xls); save it as .xlsx")),
    ("PowerPoint Document", ("unsupported_type", "is a PowerPoint file of the old kind (.ppt); save it as .pptx")),
)
_IMAGES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*", b"BM", b"RIFF")
_ARCHIVES: Final = (b"Rar!", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_HTML: Final = re.compile(
    rb"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|title|meta|div|p|h[1-6]|table|article)\b",
    re.IGNORECASE | re.DOTALL,
)
_MAIL_HEADER: Final = re.compile(
    rb"^(received|return-path|mime-version|message-id|delivered-to|x-[a-z-]+|from|to|subject|date|content-type)"
    rb":[ \t]*\S",
    re.IGNORECASE,
)
_MAIL_NEEDS: Final = (
    re.compile(rb"^from:", re.IGNORECASE | re.MULTILINE),
    re.compile(rb"^(date|subject|message-id):", re.IGNORECASE | re.MULTILINE),
)
_MARKDOWN: Final = re.compile(r"^(#{1,6} \S|```|\* \S|- \S|\d+\. \S|> \S|\|.+\|$|\[.+\]\(.+\))", re.MULTILINE)


def kind_of(data: bytes, name: str = "", limits: ReadLimits | None = None) -> Kind:
    """The kind of a document.

    Args:
        data: All of it: a container is told by its list of files, which stands at the end.
        name: File name or URL path; only chooses between text, Markdown and CSV.
        limits: Of containers.

    Raises:
        DocumentRefused: Nothing that is read, with what it is instead.
    """
    head = data[:HEAD_BYTES]
    if not data.strip(b"\x00 \t\r\n"):
        raise DocumentRefused("the file is empty; upload it again", reason="empty")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _kind_of_zip(data, limits or ReadLimits())
    if head.startswith(_OLE):
        return _kind_of_ole(data)
    if _is_pdf(data):
        return "pdf"
    if head.startswith(_IMAGES):
        raise DocumentRefused(
            "the file is an image; put it into a PDF, which is read by OCR", reason="unsupported_type"
        )
    if head.startswith(_ARCHIVES):
        raise DocumentRefused("the file is an archive; unpack it and upload what is in it", reason="archive")
    return _kind_of_text(data, head, name)


def _is_pdf(data: bytes) -> bool:
    """Whether it begins as a PDF does; with something before it, also whether it ends so: a text may speak of PDFs."""
    at = data.find(b"%PDF-", 0, 1_024)
    return at == 0 or (at > 0 and (not data[:at].strip() or b"startxref" in data[-2_048:]))


def _kind_of_zip(data: bytes, limits: ReadLimits) -> Kind:
    with open_container(data, limits) as container:
        names = set(container.namelist())
        if "[Content_Types].xml" not in names:
            raise DocumentRefused("the file is a ZIP archive; unpack it and upload what is in it", reason="archive")
        types = container.read("[Content_Types].xml")
    if b"macroEnabled" in types or any(name.lower().endswith("vbaproject.bin") for name in names):
        raise DocumentRefused(
            "the file has macros in it and is not opened; save it without macros (.docx, .xlsx, .pptx)", reason="macros"
        )
    for mark, kind in _MAIN_PARTS:
        if mark in types:
            return kind
    raise DocumentRefused(f"the file is an Office file of another kind; upload {_READABLE}", reason="unsupported_type")


def open_container(data: bytes, limits: ReadLimits) -> zipfile.ZipFile:
    """A ZIP whose list of files was judged before anything is unpacked.

    Raises:
        DocumentRefused: ``corrupt``, ``encrypted``, ``too_many_entries``, ``zip_bomb`` or ``archive`` (nested).
    """
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise DocumentRefused(
            f"the file is damaged ({error}); open and save it again, then upload it", reason="corrupt"
        ) from None
    entries = container.infolist()
    if len(entries) > limits.max_entries:
        raise DocumentRefused(
            f"the file has {len(entries):,} files in it, more than {limits.max_entries:,}; it is not opened",
            reason="too_many_entries",
        )
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise DocumentRefused("the file is protected by a password; save it without one", reason="encrypted")
    unpacked = sum(entry.file_size for entry in entries)
    dense = [
        entry
        for entry in entries
        if entry.file_size > limits.ratio_from_bytes
        and entry.file_size > limits.max_ratio * max(1, entry.compress_size)
    ]
    if unpacked > limits.max_unpacked_bytes or dense:
        raise DocumentRefused(
            f"the file would unpack to {unpacked:,} bytes from {len(data):,}; it is not opened", reason="zip_bomb"
        )
    return container


def _kind_of_ole(data: bytes) -> Kind:
    for mark, refusal in _OLE_MARKS:
        if mark.encode("utf-16-le") in data:
            if refusal is None:
                return "msg"
            raise DocumentRefused(f"the file {refusal[1]}", reason=refusal[0])
    raise DocumentRefused(f"the file is an OLE file of another kind; upload {_READABLE}", reason="unsupported_type")


def _kind_of_text(data: bytes, head: bytes, name: str) -> Kind:
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff")) or _looks_utf16(head)
    if b"\x00" in head and not is_utf16:
        raise DocumentRefused(
            f"the file is no text and of no known kind; upload {_READABLE}", reason="unsupported_type"
        )
    plain = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _HTML.match(plain):
        return "html"
    if _MAIL_HEADER.match(plain) and all(needed.search(head) for needed in _MAIL_NEEDS):
        return "eml"
    suffix = name.rpartition(".")[2].lower()
    if suffix in {"md", "markdown"}:
        return "markdown"
    sample = head.decode("utf-16" if is_utf16 else "utf-8", errors="replace")
    if _is_csv(sample, is_named_so=suffix in {"csv", "tsv"}):
        return "csv"
    is_whole = len(data) <= HEAD_BYTES
    marks = len(_MARKDOWN.findall(sample))
    return "markdown" if not suffix and marks >= 5 and (is_whole or marks >= 10) else "text"  # noqa: PLR2004 - as said


def _looks_utf16(head: bytes) -> bool:
    return len(head) >= 4 and (head[1::2].count(0) > len(head) * 0.4 or head[::2].count(0) > len(head) * 0.4)  # noqa: PLR2004


def _is_csv(sample: str, *, is_named_so: bool) -> bool:
    lines = [line for line in sample.splitlines()[:20] if line.strip()]
    lines = lines[:-1] if len(lines) > 2 else lines  # noqa: PLR2004 - the last may be cut
    if len(lines) < 2:  # noqa: PLR2004 - one line says nothing
        return is_named_so
    for delimiter in (",", ";", "\t"):
        counts = [line.count(delimiter) for line in lines]
        if min(counts) >= 1 and (is_named_so or (min(counts) == max(counts) and min(counts) >= 2)):  # noqa: PLR2004
            return True
    return is_named_so and max(line.count(",") for line in lines) > 0
