"""Content-Encoding undone piece by piece, so that a bomb is cut while it is still small.

gzip and deflate only, and only these are asked for: zlib can be told how much to put out at a time.
"""

import zlib
from collections.abc import Iterator

ACCEPT_ENCODING = "gzip, deflate"
PIECE_BYTES = 64 * 1024
"""Most that one step puts out."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP_START = b"\x1f"
_ZLIB_HEADER_BYTES = 2


class BadEncodingError(ValueError):
    """The body is not what its Content-Encoding says."""


class IncompleteEncodingError(ValueError):
    """The body ended before its compressed stream did."""


class Decoder:
    """Undoes one Content-Encoding; `feed` all of the body, then `finish`.

    Args:
        encoding: Value of the header; empty and ``identity`` pass bytes through.

    Attributes:
        consumed_bytes: Encoded bytes that the pieces so far were made of.

    Raises:
        BadEncodingError: The encoding is one that was not asked for, or several at once.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower().removeprefix("x-")
        if name not in {"", "identity", "gzip", "deflate"}:
            raise BadEncodingError(f"it is encoded as {encoding[:40]!r}, which was not asked for")
        self.is_identity = name in {"", "identity"}
        self.consumed_bytes = 0
        self._name = name
        self._held = b""
        self._stream = zlib.decompressobj(_GZIP_WINDOW) if name == "gzip" else None
        self._is_over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most `PIECE_BYTES` (identity: the data as it is).

        Raises:
            BadEncodingError: The data is not of the encoding.
        """
        if self.is_identity:
            self.consumed_bytes += len(data)
            yield data
            return
        data, self._held = self._held + data, b""
        if self._stream is None:
            if len(data) < _ZLIB_HEADER_BYTES:
                self._held = data
                return
            self._stream = zlib.decompressobj(_deflate_window(data))
        while data and not self._is_over:
            stream = self._stream
            if self._is_member_over():
                data = self._next_member(data)
                continue
            piece = self._step(stream, data)
            left = stream.unused_data if stream.eof else stream.unconsumed_tail
            self.consumed_bytes += len(data) - len(left)
            if piece:
                yield piece
            data = left

    def finish(self) -> Iterator[bytes]:
        """What zlib still held back.

        Raises:
            BadEncodingError: The data is not of the encoding.
            IncompleteEncodingError: The compressed stream is cut off.
        """
        if self.is_identity:
            return
        while self._stream is not None and not self._is_member_over() and (piece := self._step(self._stream, b"")):
            yield piece
        if not self._is_member_over():
            raise IncompleteEncodingError(f"its {self._name} stream is cut off")

    def _is_member_over(self) -> bool:
        return self._stream is not None and self._stream.eof

    def _step(self, stream: "zlib._Decompress", data: bytes) -> bytes:
        try:
            return stream.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            raise BadEncodingError(f"it does not decode as {self._name}: {error}") from error

    def _next_member(self, data: bytes) -> bytes:
        """A gzip file may be several in a row (RFC 1952); anything else after the end is padding."""
        if self._name == "gzip" and data.startswith(_GZIP_START):
            self._stream = zlib.decompressobj(_GZIP_WINDOW)
            return data
        self._is_over = True
        return b""


def _deflate_window(data: bytes) -> int:
    """``deflate`` should be in a zlib wrapper (RFC 9110 section 8.4.1.2); some servers send it bare."""
    is_wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
    return zlib.MAX_WBITS if is_wrapped else -zlib.MAX_WBITS
