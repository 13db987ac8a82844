"""What two ends may say: strategies for single messages, and one conversation that uses every message."""

from hypothesis import strategies as st

from rehost.core import digest
from rehost.core.pages import PAGE
from rehost.wire import messages as m
from rehost.wire.messages import Role

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
COUNTS = st.integers(1, m.MAX_COUNT)
DIGESTS = st.binary(min_size=32, max_size=32).filter(lambda found: found != digest.ABSENT)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)


def _data(content: bytes, seq: int, volume: int, chunk: int, found: bytes, spare: int) -> m.Data:
    encoding = m.Encoding.ZSTD if spare else m.Encoding.RAW
    return m.Data(seq, volume, chunk, found, len(content) + spare, encoding, content)


@st.composite
def _patch(draw: st.DrawFn) -> m.Patch:
    pages = draw(st.integers(1, 2**m.MAX_PAGES - 1))
    whole = pages.bit_count() * PAGE
    content = draw(st.binary(min_size=1, max_size=500))
    length = draw(st.integers(whole - PAGE + 1, whole).filter(lambda length: length >= len(content)))
    found = draw(DIGESTS)
    return m.Patch(draw(U64), draw(U16), draw(U32), pages, found, length, m.Encoding.ZSTD, content)


MESSAGES: st.SearchStrategy[m.Message] = st.one_of(
    st.builds(m.Hello, U16, st.text(st.characters(codec="ascii"), max_size=300), st.integers(0, 63)),
    st.builds(
        m.Welcome,
        U16,
        st.integers(m.MAX_FRAME, 2**32 - 1),
        st.lists(
            st.builds(m.VolumeState, U16, U64, st.integers(1, m.MAX_CHUNK), st.booleans()), max_size=5
        ).map(tuple),
    ),
    st.builds(
        _data, st.binary(min_size=1, max_size=500), U64, U16, U32, DIGESTS, st.sampled_from([0, 1, 500])
    ),
    st.builds(m.Zero, U64, U16, U32, COUNTS),
    st.builds(m.Ack, U64),
    st.builds(m.DigestsRequest, U16, U32, COUNTS),
    st.builds(m.Digests, U16, U32, st.lists(DIGESTS, min_size=1, max_size=5).map(b"".join)),
    st.just(m.Complete()),
    st.builds(m.Completed, st.lists(DIGESTS, max_size=5).map(tuple)),
    st.builds(m.Failure, TEXTS, TEXTS, TEXTS),
    _patch(),
)

_CONTENT = b"content " * 8
_DIGEST = digest.of(_CONTENT)

CONVERSATION: list[tuple[Role, m.Message]] = [
    (Role.AGENT, m.Hello(1, "ticket", 0)),
    (Role.RECEIVER, m.Welcome(1, 16 << 20, (m.VolumeState(0, 256, 64, False),))),
    (Role.AGENT, m.Data(1, 0, 0, _DIGEST, 64, m.Encoding.RAW, _CONTENT)),
    (Role.AGENT, m.Zero(2, 0, 1, 2)),
    (Role.AGENT, m.DigestsRequest(0, 0, 4)),
    (Role.RECEIVER, m.Ack(1)),
    (Role.RECEIVER, m.Digests(0, 0, _DIGEST + bytes(96))),
    (Role.AGENT, m.Data(3, 0, 3, _DIGEST, 64, m.Encoding.RAW, _CONTENT)),
    (Role.AGENT, m.Patch(4, 0, 0, 1, _DIGEST, 64, m.Encoding.RAW, _CONTENT)),
    (Role.RECEIVER, m.Ack(4)),
    (Role.AGENT, m.Complete()),
    (Role.RECEIVER, m.Completed((_DIGEST,))),
]
