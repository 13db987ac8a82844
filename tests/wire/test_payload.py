import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.errors import WireError
from rehost.wire.messages import MAX_CHUNK, Encoding
from rehost.wire.payload import Packer, Unpacker


@given(st.binary(min_size=1, max_size=5000), st.integers(0, 10))
def test_what_is_packed_comes_back(content: bytes, level: int) -> None:
    encoding, payload = Packer(level).pack(content)
    assert bytes(Unpacker().unpack(encoding, payload, len(content))) == content
    assert len(payload) <= len(content)


def test_only_what_pays_is_compressed() -> None:
    noise = os.urandom(4096)
    assert Packer(1).pack(noise) == (Encoding.RAW, noise)
    assert Packer(0).pack(bytes(4096))[0] is Encoding.RAW
    encoding, payload = Packer(1).pack(bytes(4096))
    assert encoding is Encoding.ZSTD
    assert len(payload) < 100


def bomb() -> bytes:
    return zstandard.ZstdCompressor(level=19, write_content_size=True).compress(bytes(1 << 30))


def test_a_bomb_is_refused_by_the_size_it_states() -> None:
    payload = bomb()
    assert len(payload) < MAX_CHUNK
    with pytest.raises(WireError, match=f"a zstd frame of {1 << 30} bytes for a chunk of 4096"):
        Unpacker().unpack(Encoding.ZSTD, payload, 4096)


def test_a_bomb_that_states_another_size_is_refused() -> None:
    honest = zstandard.ZstdCompressor(level=1).compress(bytes(1 << 20))
    stated = zstandard.get_frame_parameters(honest)
    assert stated.content_size == 1 << 20
    small = zstandard.ZstdCompressor(level=1).compress(bytes(1 << 16) + b"x")
    # The frame header of the small one before the blocks of the big one.
    lying = small[: zstandard.frame_header_size(small)] + honest[zstandard.frame_header_size(honest) :]
    with pytest.raises(WireError, match="zstd cannot read"):
        Unpacker().unpack(Encoding.ZSTD, lying, (1 << 16) + 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"no zstd at all, not even nearly",
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(4096)),
        zstandard.ZstdCompressor().compress(bytes(4096))[:-3],
        zstandard.ZstdCompressor().compress(bytes(4096)) + b"more",
        zstandard.ZstdCompressor().compress(bytes(4095)),
    ],
)
def test_other_payloads_are_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        Unpacker().unpack(Encoding.ZSTD, payload, 4096)


@given(st.binary(max_size=300))
def test_noise_is_refused_or_has_the_right_length(noise: bytes) -> None:
    try:
        content = Unpacker().unpack(Encoding.ZSTD, noise, 64)
    except WireError:
        return
    assert len(content) == 64
