"""Bytes of HTML to text: byte order mark, header, meta, then detection.

Source: the encoding sniffing of the HTML Standard, section 13.2.3.2, with charset-normalizer for its last step.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final, Literal

PRESCAN_BYTES: Final = 1024
"""Of the markup, that a browser looks at for a declared charset."""

_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META: Final = re.compile(rb"<meta[^>]+?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_COMMENT: Final = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_HEADER: Final = re.compile(r"charset\s*=\s*[\"']?\s*([^\s;\"']+)", re.IGNORECASE)
# What the Encoding Standard reads under other names than Python.
_WEB: Final = {
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252",
    "iso-8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "x-sjis": "cp932",
    "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "tis-620": "cp874", "iso-8859-11": "cp874",
}  # fmt: skip

Source = Literal["bom", "header", "meta", "detected"]


@dataclass(frozen=True, slots=True)
class Charset:
    """How the bytes were read.

    Attributes:
        name: Python's name of the codec.
        source: What said so; ``detected`` when nothing did.
    """

    name: str
    source: Source


def decode(body: bytes, content_type: str | None) -> tuple[str, Charset]:
    """The text of a document and how it was read; bytes that do not fit become U+FFFD.

    Args:
        content_type: The header, when there is one.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace"), Charset(name, "bom")
    said = _HEADER.search(content_type or "")
    if said and (sent := _codec(said[1])):
        return body.decode(sent, "replace"), Charset(sent, "header")
    if declared := declared_in_markup(body[:PRESCAN_BYTES]):
        return body.decode(declared, "replace"), Charset(declared, "meta")
    detected = _detected(body)
    return body.decode(detected, "replace"), Charset(detected, "detected")


def declared_in_markup(head: bytes) -> str | None:
    """The codec that a meta element in these bytes names; UTF-16 there means UTF-8, as the standard says."""
    found = _META.search(_COMMENT.sub(b"", head))
    if found is None:
        return None
    name = _codec(found[1].decode("ascii"))
    return "utf-8" if name and name.startswith("utf-16") else name


def _codec(label: str) -> str | None:
    known = label.strip().lower()
    known = _WEB.get(known, known)
    try:
        info = codecs.lookup(known)
    except (LookupError, ValueError):
        return None
    return info.name if getattr(info, "_is_text_encoding", True) else None


def _detected(body: bytes) -> str:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # noqa: PLC0415 - rarely needed and slow to import

        best = from_bytes(body[:65_536]).best()
        return (best and _codec(best.encoding)) or "cp1252"
    return "utf-8"
