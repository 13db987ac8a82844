"""Each message to bytes and back; golden bytes; what the codec refuses."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.errors import FrameTooLongError, WireError
from rehost.wire import messages as m
from rehost.wire.codec import HEADER, LAYOUTS, decode, encode, layout_of
from tests.wire.speech import MESSAGES

D = bytes(range(1, 33))
GOLDEN = [
    (m.Hello(1, "ab.c", 2), "00000008 01 0001 02 61622e63"),
    (
        m.Welcome(1, 0x1000000, (m.VolumeState(3, 1 << 40, 262144, True),)),
        "00000018 02 0001 01000000 0001 0003 0000010000000000 00040000 01",
    ),
    (
        m.Data(7, 3, 5, D, 4, m.Encoding.RAW, b"ABCD"),
        f"00000038 03 0000000000000007 0003 00000005 {D.hex()} 00000004 00 41424344",
    ),
    (m.Zero(8, 3, 6, 100), "00000013 04 0000000000000008 0003 00000006 00000064"),
    (m.Ack(8), "00000009 05 0000000000000008"),
    (m.DigestsRequest(3, 5, 2), "0000000b 06 0003 00000005 00000002"),
    (m.Digests(3, 5, D + bytes(32)), f"00000047 07 0003 00000005 {D.hex()} {'00' * 32}"),
    (m.Complete(), "00000001 08"),
    (m.Completed((D,)), f"00000021 09 {D.hex()}"),
    (m.Failure("A", "é", ""), "0000000a 0a 0001 41 0002 c3a9 0000"),
    (
        m.Patch(9, 3, 5, 6, D, 4100, m.Encoding.ZSTD, b"ABCD"),
        f"00000058 0b 0000000000000009 0003 00000005 {'00' * 31}06 {D.hex()} 00001004 01 41424344",
    ),
]


def decoded(frame: bytes) -> m.Message:
    length, number = HEADER.unpack_from(frame)
    assert len(frame) == 4 + length
    return decode(layout_of(number), memoryview(frame)[HEADER.size :])


@pytest.mark.parametrize(("message", "golden"), GOLDEN, ids=[type(g[0]).__name__ for g in GOLDEN])
def test_golden_bytes(message: m.Message, golden: str) -> None:
    frame = bytes.fromhex(golden)
    assert encode(message).hex() == frame.hex()
    assert decoded(frame) == message


def test_golden_bytes_hold_every_message() -> None:
    assert [type(message) for message, _ in GOLDEN] == [layout.message for layout in LAYOUTS]


@given(MESSAGES)
def test_what_is_encoded_decodes_to_the_same(message: m.Message) -> None:
    frame = encode(message)
    assert decoded(frame) == message
    assert len(frame) <= 4 + m.MAX_FRAME


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.message.__name__)
def test_no_limit_is_above_the_frame_limit(layout) -> None:
    assert layout.limit <= m.MAX_FRAME


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.message.__name__)
@given(body=st.binary(max_size=200))
def test_noise_decodes_or_is_a_wire_error(layout, body: bytes) -> None:
    try:
        message = decode(layout, memoryview(body))
    except WireError:
        return
    assert decoded(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        m.Data(1, 0, 0, D, 0, m.Encoding.RAW, b""),
        m.Data(1, 0, 0, D, 5, m.Encoding.RAW, b"four"),
        m.Data(1, 0, 0, D, 3, m.Encoding.ZSTD, b"four"),
        m.Data(1, 0, 0, bytes(32), 4, m.Encoding.RAW, b"four"),
        m.Data(1, 0, 0, D[:31], 4, m.Encoding.RAW, b"four"),
        m.Data(1, 0, 0, D, m.MAX_CHUNK + 1, m.Encoding.RAW, bytes(m.MAX_CHUNK + 1)),
        m.Data(-1, 0, 0, D, 4, m.Encoding.RAW, b"four"),
        m.Zero(1, 0, 0, 0),
        m.Zero(1, 0, 0, m.MAX_COUNT + 1),
        m.Zero(1, 70000, 0, 1),
        m.DigestsRequest(0, 0, m.MAX_COUNT + 1),
        m.Digests(0, 0, b""),
        m.Digests(0, 0, bytes(33)),
        m.Hello(1, "ä", 0),
    ],
)
def test_what_breaks_a_limit_is_not_encoded(message: m.Message) -> None:
    with pytest.raises(WireError):
        encode(message)


def test_a_ticket_too_long_is_a_frame_too_long() -> None:
    with pytest.raises(FrameTooLongError, match="Hello of 8197 bytes, the most is 8196"):
        encode(m.Hello(1, "x" * (m.MAX_TICKET + 1), 0))


@pytest.mark.parametrize(
    "body",
    [
        struct.pack(">HIH", 1, m.MAX_FRAME - 1, 0),  # no frame would fit the window
        struct.pack(">HIH", 1, 1 << 24, 257) + bytes(257 * 15),
        struct.pack(">HIHHQIB", 1, 1 << 24, 1, 0, 512, 0, 0),  # chunks of nothing
        struct.pack(">HIHHQIB", 1, 1 << 24, 1, 0, 512, 512, 2),
        struct.pack(">HIHHQIB", 1, 1 << 24, 2, 0, 512, 512, 0),
    ],
)
def test_a_welcome_that_cannot_be_meant_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="a Welcome is malformed"):
        decode(layout_of(2), memoryview(body))


def test_long_texts_of_a_failure_are_cut_between_characters() -> None:
    failure = decoded(encode(m.Failure("Code", "ü" * 5000, "x" * m.MAX_TEXT)))
    assert failure == m.Failure("Code", "ü" * 1024, "x" * m.MAX_TEXT)
    odd = decoded(encode(m.Failure("Code", "a" + "ü" * 5000, "")))
    assert odd == m.Failure("Code", "a" + "ü" * 1023, "")
