import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.net.decoding import PIECE_BYTES, BadEncodingError, Decoder, IncompleteEncodingError


def bare(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def decode(encoding: str, data: bytes, step: int) -> bytes:
    decoder = Decoder(encoding)
    pieces = [piece for at in range(0, len(data), step) for piece in decoder.feed(data[at : at + step])]
    return b"".join([*pieces, *decoder.finish()])


@given(data=st.binary(max_size=2_000), repeat=st.integers(1, 200), step=st.sampled_from([1, 2, 7, 100, 1 << 20]))
def test_what_was_encoded_comes_back_however_it_is_cut(data: bytes, repeat: int, step: int) -> None:
    body = data * repeat
    assert decode("gzip", gzip.compress(body), step) == body
    assert decode("X-GZip", gzip.compress(body) + gzip.compress(data), step) == body + data
    assert decode("deflate", zlib.compress(body), step) == body
    assert decode("deflate", bare(body), step) == body
    assert decode("identity", body[:1_000], step) == body[:1_000]


def test_pieces_are_small_whatever_they_unpack_to() -> None:
    decoder = Decoder("gzip")
    pieces = decoder.feed(gzip.compress(bytes(10_000_000)))
    assert len(next(pieces)) <= PIECE_BYTES
    assert decoder.consumed_bytes < 1_000
    assert max(map(len, pieces)) <= PIECE_BYTES


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "nonsense"])
def test_what_was_not_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(BadEncodingError):
        Decoder(encoding)


@pytest.mark.parametrize("data", [b"not compressed", b"\xff" * 100])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_nonsense_is_refused(encoding: str, data: bytes) -> None:
    with pytest.raises(BadEncodingError):
        decode(encoding, data, 10)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("keep", [1, 5, 30])
def test_a_cut_stream_is_told_apart(encoding: str, keep: int) -> None:
    whole = gzip.compress(bytes(range(256))) if encoding == "gzip" else zlib.compress(bytes(range(256)))
    with pytest.raises(IncompleteEncodingError):
        decode(encoding, whole[:keep], 10)


def test_padding_after_the_end_is_ignored() -> None:
    assert decode("gzip", gzip.compress(b"x") + bytes(50), 3) == b"x"
