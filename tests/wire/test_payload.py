import os
from pathlib import Path

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


def test_on_a_fast_link_nothing_is_compressed() -> None:
    packer, text = Packer(1), bytes(range(64)) * 4096
    packer.pack(text, 1e6)  # from now on it knows how fast it is
    assert packer.pack(text, 1e12) == (Encoding.RAW, text)
    assert packer.pack(text, 1e6)[0] is Encoding.ZSTD


def test_on_a_slow_link_it_tries_harder() -> None:
    text = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    packer = Packer(10)
    easy = packer.pack(text)[1]
    for _ in range(12):
        hard = packer.pack(text, 1000.0)[1]
    assert len(hard) < len(easy)


def test_content_whose_sample_is_noise_is_sent_as_it_is() -> None:
    content = bytearray(os.urandom(64 << 10))
    content[16 << 10 : 28 << 10] = bytes(12 << 10)  # between the places that are sampled
    assert Packer(1).pack(content) == (Encoding.RAW, content)


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
