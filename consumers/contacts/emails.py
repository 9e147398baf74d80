"""E-mail addresses in links and text, and none that nobody reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

_ADDRESS: Final = re.compile(
    r"(?<![\w.+%-])([A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@(?:[A-Za-z0-9\u00a1-\uffff](?:[A-Za-z0-9\u00a1-\uffff-]{0,61}[A-Za-z0-9\u00a1-\uffff])?\.)+[A-Za-z\u00a1-\uffff][A-Za-z0-9\u00a1-\uffff-]{1,62})(?![\w@-])"
)
_WRITTEN_OUT: Final = re.compile(
    r"([A-Za-z0-9][\w.+-]{0,63})\s*[\[({]\s*(?:at|@|ät|arobase)\s*[\])}]\s*([A-Za-z0-9-]+(?:\s*(?:\.|[\[({]\s*(?:dot|\.|punkt|point)\s*[\])}])\s*[A-Za-z0-9-]+)+)",
    re.IGNORECASE,
)
_DOT: Final = re.compile(r"\s*[\[({]\s*(?:dot|\.|punkt|point)\s*[\])}]\s*|\s*\.\s*", re.IGNORECASE)
_FILES: Final = frozenset(
    (
        "png",
        "jpg",
        "jpeg",
        "gif",
        "webp",
        "svg",
        "avif",
        "ico",
        "css",
        "js",
        "mjs",
        "woff",
        "woff2",
        "ttf",
        "mp4",
        "webm",
        "pdf",
        "html",
        "php",
        "json",
        "map",
    )
)
_RESERVED: Final = re.compile(
    r"@(?:.+\.)?(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|domain\.(?:com|tld)|yourdomain\.\w+|your-?domain\.\w+|"
    r"yoursite\.\w+|your-?company\.\w+|mysite\.\w+|mydomain\.\w+|company\.com|email\.(?:com|tld)|mail\.tld|website\.com|site\.com|sentry\.io|"
    r"sentry\.wixpress\.com|sentry-next\.wixpress\.com|wixpress\.com|acme\.\w+|placeholder\.\w+|beispiel\.de|exemple\.(?:fr|com)|ejemplo\.com)$",
    re.IGNORECASE,
)
_NOBODY: Final = re.compile(
    r"^(?:your-?(?:name|email)|you|user(?:name)?|name|email|someone|somebody|john\.?doe|jane\.?doe|jdoe|firstname\.lastname|foo|xxx+|no-?reply|donotreply)@",
    re.IGNORECASE,
)


def is_placeholder(address: str) -> bool:
    """Whether an address is made for examples, templates or machines."""
    return bool(_RESERVED.search(address) or _NOBODY.search(address)) or address.rsplit(".", 1)[-1].lower() in _FILES


def normalised(address: str) -> str | None:
    """An address in lower case with its domain in ASCII; None when it is none, or a placeholder."""
    found = _ADDRESS.fullmatch(unquote(address).strip().strip(".,;:<>\"'()"))
    if found is None:
        return None
    local, _, domain = found[1].rpartition("@")
    try:
        ascii_domain = domain.lower() if domain.isascii() else domain.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return None
    whole = f"{local.lower()}@{ascii_domain}"
    return None if is_placeholder(whole) else whole


def from_mailto(href: str) -> Iterator[str]:
    """The addresses of a ``mailto:`` link, carbon copies left out."""
    for part in unquote(href.partition(":")[2].partition("?")[0]).split(","):
        if found := normalised(part):
            yield found


def in_text(text: str) -> Iterator[str]:
    """Addresses in running text, also those written out as ``name (at) domain (dot) tld``."""
    for match in _ADDRESS.finditer(text):
        if found := normalised(match[1]):
            yield found
    for match in _WRITTEN_OUT.finditer(text):
        if found := normalised(f"{match[1]}@{_DOT.sub('.', match[2])}"):
            yield found


def decloaked(code: str) -> str | None:
    """An address that Cloudflare hid in ``data-cfemail``: hexadecimal, each byte XORed with the first."""
    try:
        key, *rest = bytes.fromhex(code)
    except ValueError:
        return None
    return normalised(bytes(one ^ key for one in rest).decode("utf-8", "replace"))
