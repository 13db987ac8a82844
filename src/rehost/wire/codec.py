"""Messages to bytes and back: a frame is `u32 length | u8 type | body`, numbers big-endian.

The layouts below are the ones of `docs/protocol.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from typing import Any

from rehost.core import digest
from rehost.core.errors import FrameTooLongError, WireError
from rehost.core.pages import PAGE
from rehost.wire import messages as m

HEADER = Struct(">IB")
LENGTH = 4  # bytes of the header that the length does not count

_HELLO = Struct(">HB")
_WELCOME = Struct(">HIH")
_VOLUME = Struct(">HQIB")
_DATA = Struct(">QHI32sIB")
_ZERO = Struct(">QHII")
_ACK = Struct(">Q")
_RANGE = Struct(">HII")
_DIGESTS = Struct(">HI")
_TEXT = Struct(">H")
_PATCH = Struct(">QHI32s32sIB")


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of message lies in a frame's body."""

    number: int  # the frame's type
    message: type[m.Message]
    limit: int  # most bytes of type and body
    pack: Callable[[Any], tuple[bytes | memoryview, ...]]
    unpack: Callable[[memoryview], m.Message]


def encode(message: m.Message) -> bytes:
    """A message as one frame; FrameTooLongError or WireError if it breaks a limit."""
    layout = BY_MESSAGE[type(message)]
    try:
        parts = layout.pack(message)
    except (ValueError, StructError) as error:
        raise WireError(f"cannot say this {layout.message.__name__}: {error}", UPGRADE) from error
    length = 1 + sum(map(len, parts))
    check_length(layout, length)
    return b"".join((HEADER.pack(length, layout.number), *parts))


def decode(layout: Layout, body: memoryview) -> m.Message:
    """The message in a frame's body; the payload of a Data or Patch is a view into it."""
    try:
        return layout.unpack(body)
    except ValueError as error:
        raise WireError(f"a {layout.message.__name__} is malformed: {error}", UPGRADE) from error


def layout_of(number: int) -> Layout:
    try:
        return BY_NUMBER[number]
    except KeyError:
        raise WireError(f"a message of unknown type {number}", UPGRADE) from None


def check_length(layout: Layout, length: int) -> None:
    if length > layout.limit:
        raise FrameTooLongError(
            f"a {layout.message.__name__} of {length} bytes, the most is {layout.limit}", UPGRADE
        )


UPGRADE = "bring agent and server to the same release of rehost"


def _require(held: bool, what: str) -> None:
    if not held:
        raise ValueError(what)


def _whole(struct: Struct, body: memoryview) -> tuple[Any, ...]:
    _require(len(body) == struct.size, f"{len(body)} bytes where {struct.size} belong")
    return struct.unpack(body)


def _head(struct: Struct, body: memoryview) -> tuple[tuple[Any, ...], memoryview]:
    _require(len(body) >= struct.size, f"{len(body)} bytes where at least {struct.size} belong")
    return struct.unpack_from(body), body[struct.size :]


def _pack_hello(hello: m.Hello) -> tuple[bytes, ...]:
    return _HELLO.pack(hello.version, hello.stream), hello.ticket.encode("ascii")


def _unpack_hello(body: memoryview) -> m.Hello:
    (version, stream), ticket = _head(_HELLO, body)
    _require(stream < m.MAX_STREAMS, f"stream number {stream}, the most is {m.MAX_STREAMS - 1}")
    return m.Hello(version, str(ticket, "ascii"), stream)


def _pack_welcome(welcome: m.Welcome) -> tuple[bytes, ...]:
    volumes = (_VOLUME.pack(v.volume, v.size, v.chunk, v.fresh) for v in welcome.volumes)
    return _WELCOME.pack(welcome.version, welcome.window, len(welcome.volumes)), *volumes


def _unpack_welcome(body: memoryview) -> m.Welcome:
    (version, window, count), rest = _head(_WELCOME, body)
    _require(window >= m.MAX_FRAME, f"a window of {window} bytes, too small for a frame")
    _require(count <= m.MAX_VOLUMES, f"{count} volumes, the most is {m.MAX_VOLUMES}")
    _require(len(rest) == count * _VOLUME.size, f"{len(rest)} bytes of {count} volumes")
    return m.Welcome(version, window, tuple(_volume(*fields) for fields in _VOLUME.iter_unpack(rest)))


def _volume(volume: int, size: int, chunk: int, fresh: int) -> m.VolumeState:
    _require(fresh <= 1, f"{fresh} where 0 or 1 belongs")
    _require(0 < chunk <= m.MAX_CHUNK, f"a chunk size of {chunk}")
    return m.VolumeState(volume, size, chunk, bool(fresh))


def _pack_data(data: m.Data) -> tuple[bytes | memoryview, ...]:
    _check_data(data)
    fields = _DATA.pack(data.seq, data.volume, data.chunk, data.digest, data.length, data.encoding)
    return fields, data.payload


def _unpack_data(body: memoryview) -> m.Data:
    (seq, volume, chunk, content, length, encoding), payload = _head(_DATA, body)
    data = m.Data(seq, volume, chunk, content, length, m.Encoding(encoding), payload)
    _check_data(data)
    return data


def _pack_patch(patch: m.Patch) -> tuple[bytes | memoryview, ...]:
    _check_patch(patch)
    pages = patch.pages.to_bytes(m.MAX_PAGES // 8, "big")
    fields = (patch.seq, patch.volume, patch.chunk, pages, patch.digest, patch.length, patch.encoding)
    return _PATCH.pack(*fields), patch.payload


def _unpack_patch(body: memoryview) -> m.Patch:
    (seq, volume, chunk, pages, content, length, encoding), payload = _head(_PATCH, body)
    number = int.from_bytes(pages, "big")
    patch = m.Patch(seq, volume, chunk, number, content, length, m.Encoding(encoding), payload)
    _check_patch(patch)
    return patch


def _check_patch(patch: m.Patch) -> None:
    _require(0 < patch.pages < 1 << m.MAX_PAGES, "pages that no chunk has")
    most = patch.pages.bit_count() * PAGE
    _require(most - PAGE < patch.length <= most, f"{patch.length} bytes of {most // PAGE} pages")
    _check_data(patch)


def _check_data(data: m.Data | m.Patch) -> None:
    _require(0 < data.length <= m.MAX_CHUNK, f"a chunk of {data.length} bytes")
    _require(len(data.digest) == digest.SIZE, f"a digest of {len(data.digest)} bytes")
    _require(data.digest != digest.ABSENT, "a digest of zeroes, which means absent")
    size = len(data.payload)
    fits = size == data.length if data.encoding is m.Encoding.RAW else 0 < size <= data.length
    _require(fits, f"a payload of {size} bytes for {data.length} bytes {data.encoding.name}")


def _pack_zero(zero: m.Zero) -> tuple[bytes, ...]:
    _check_count(zero.count)
    return (_ZERO.pack(zero.seq, zero.volume, zero.first, zero.count),)


def _unpack_zero(body: memoryview) -> m.Zero:
    zero = m.Zero(*_whole(_ZERO, body))
    _check_count(zero.count)
    return zero


def _check_count(count: int) -> None:
    _require(0 < count <= m.MAX_COUNT, f"{count} chunks, 1 to {m.MAX_COUNT} are possible")


def _pack_request(request: m.DigestsRequest) -> tuple[bytes, ...]:
    _check_count(request.count)
    return (_RANGE.pack(request.volume, request.first, request.count),)


def _unpack_request(body: memoryview) -> m.DigestsRequest:
    request = m.DigestsRequest(*_whole(_RANGE, body))
    _check_count(request.count)
    return request


def _pack_digests(digests: m.Digests) -> tuple[bytes, ...]:
    _check_digests(len(digests.digests))
    return _DIGESTS.pack(digests.volume, digests.first), digests.digests


def _unpack_digests(body: memoryview) -> m.Digests:
    (volume, first), rest = _head(_DIGESTS, body)
    _check_digests(len(rest))
    return m.Digests(volume, first, bytes(rest))


def _check_digests(size: int) -> None:
    _require(size % digest.SIZE == 0, f"{size} bytes of digests")
    _check_count(size // digest.SIZE)


def _unpack_complete(body: memoryview) -> m.Complete:
    _require(not body, f"{len(body)} bytes where none belong")
    return m.Complete()


def _unpack_completed(body: memoryview) -> m.Completed:
    _require(len(body) % digest.SIZE == 0, f"{len(body)} bytes of roots")
    return m.Completed(tuple(bytes(body[i : i + digest.SIZE]) for i in range(0, len(body), digest.SIZE)))


def _pack_failure(failure: m.Failure) -> tuple[bytes, ...]:
    texts = [_cut(text) for text in (failure.code, failure.what, failure.advice)]
    return tuple(part for text in texts for part in (_TEXT.pack(len(text)), text))


def _cut(text: str) -> bytes:
    """At most MAX_TEXT bytes of UTF-8, no character torn: a long reason must not hide behind a refusal."""
    data = text.encode("utf-8", "replace")[: m.MAX_TEXT]
    return data.decode("utf-8", "ignore").encode()


def _unpack_failure(body: memoryview) -> m.Failure:
    texts = []
    for _ in range(3):
        (size,), body = _head(_TEXT, body)
        _require(size <= min(len(body), m.MAX_TEXT), f"a text of {size} bytes")
        texts.append(str(body[:size], "utf-8"))
        body = body[size:]
    _require(not body, f"{len(body)} bytes after the last text")
    return m.Failure(*texts)


LAYOUTS = (
    Layout(1, m.Hello, 1 + _HELLO.size + m.MAX_TICKET, _pack_hello, _unpack_hello),
    Layout(2, m.Welcome, 9 + m.MAX_VOLUMES * _VOLUME.size, _pack_welcome, _unpack_welcome),
    Layout(3, m.Data, 1 + _DATA.size + m.MAX_CHUNK, _pack_data, _unpack_data),
    Layout(4, m.Zero, 1 + _ZERO.size, _pack_zero, _unpack_zero),
    Layout(5, m.Ack, 1 + _ACK.size, lambda ack: (_ACK.pack(ack.seq),), lambda b: m.Ack(*_whole(_ACK, b))),
    Layout(6, m.DigestsRequest, 1 + _RANGE.size, _pack_request, _unpack_request),
    Layout(7, m.Digests, 7 + m.MAX_COUNT * digest.SIZE, _pack_digests, _unpack_digests),
    Layout(8, m.Complete, 1, lambda _: (), _unpack_complete),
    Layout(9, m.Completed, 1 + m.MAX_VOLUMES * digest.SIZE, lambda c: c.roots, _unpack_completed),
    Layout(10, m.Failure, 1 + 3 * (2 + m.MAX_TEXT), _pack_failure, _unpack_failure),
    Layout(11, m.Patch, 1 + _PATCH.size + m.MAX_CHUNK, _pack_patch, _unpack_patch),
)
BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
BY_MESSAGE = {layout.message: layout for layout in LAYOUTS}
