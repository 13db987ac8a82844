"""Both ends of a connection without a network: whole, cut at every byte, with noise, against the rules."""

from contextlib import suppress
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.errors import FrameTooLongError, WireError
from rehost.wire import messages as m
from rehost.wire.codec import HEADER, LAYOUTS, encode
from rehost.wire.connection import TRANSITIONS, Connection, State
from rehost.wire.messages import Role
from tests.wire.speech import CONVERSATION, MESSAGES

DIGEST = bytes(range(32))


def pair() -> dict[Role, Connection]:
    return {role: Connection(role) for role in Role}


def opened(window: int = 16 << 20) -> dict[Role, Connection]:
    ends = pair()
    say(ends, Role.AGENT, m.Hello(1, "t", 0))
    say(ends, Role.RECEIVER, m.Welcome(1, window, ()))
    return ends


def say(ends: dict[Role, Connection], speaker: Role, message: m.Message) -> None:
    assert ends[speaker.peer].receive_data(ends[speaker].send(message)) == [message]


def data(seq: int, content: bytes = b"x" * 100) -> m.Data:
    return m.Data(seq, 0, 0, DIGEST, len(content), m.Encoding.RAW, content)


def in_state(state: State, role: Role) -> Connection:
    """One end that the conversation has brought into a state."""
    ends = pair()
    if state is State.FAILED:
        say(ends, Role.AGENT, m.Failure("c", "w", "a"))
    for speaker, message in CONVERSATION:
        if ends[role].state is state:
            break
        say(ends, speaker, message)
    assert ends[role].state is state
    return ends[role]


def test_the_conversation_says_everything_and_both_ends_agree() -> None:
    ends = pair()
    for speaker, message in CONVERSATION:
        say(ends, speaker, message)
        assert ends[Role.AGENT].state is ends[Role.RECEIVER].state
    assert ends[Role.AGENT].state is State.DONE
    assert {type(message) for _, message in CONVERSATION} == {layout.message for layout in LAYOUTS} - {
        m.Failure
    }


def streams() -> dict[Role, bytes]:
    """All bytes that each side says in the conversation."""
    ends, said = pair(), dict.fromkeys(Role, b"")
    for speaker, message in CONVERSATION:
        frame = ends[speaker].send(message)
        ends[speaker.peer].receive_data(frame)
        said[speaker] += frame
    return said


def hear_in_pieces(listener: Role, cuts: list[int]) -> list[m.Message]:
    """What a listener hears if each frame of its peer comes in pieces, cut at these places of the stream."""
    ends, heard, position = pair(), [], 0
    for speaker, message in CONVERSATION:
        frame = ends[speaker].send(message)
        if speaker is listener:
            ends[speaker.peer].receive_data(frame)
            continue
        places = [0, *(cut - position for cut in cuts if 0 < cut - position < len(frame)), len(frame)]
        for start, end in pairwise(places):
            heard += ends[listener].receive_data(frame[start:end])
        position += len(frame)
    return heard


@pytest.mark.parametrize("listener", Role)
def test_the_stream_may_be_cut_at_every_byte(listener: Role) -> None:
    expected = [message for speaker, message in CONVERSATION if speaker is not listener]
    length = len(streams()[listener.peer])
    for cut in range(length):
        assert hear_in_pieces(listener, [cut]) == expected
    assert hear_in_pieces(listener, list(range(length))) == expected


@pytest.mark.parametrize("size", [1, 997, 16384, 3 << 20])
def test_lent_payloads_are_whole_whatever_the_pieces(size: int) -> None:
    """Frames that wrap around the buffer's end, read through `space` as from a socket."""
    count = 3 if size == 1 else 40
    ends = opened(window=64 << 20)
    contents = [bytes([number]) * (200_000 + number) for number in range(count)]
    stream = memoryview(b"".join(ends[Role.AGENT].send(data(n + 1, c)) for n, c in enumerate(contents)))
    heard = []
    while stream:
        space = ends[Role.RECEIVER].space()
        piece = min(size, len(space), len(stream))
        space[:piece] = stream[:piece]
        stream = stream[piece:]
        heard += [bytes(message.payload) for message in ends[Role.RECEIVER].received(piece)]
    assert heard == contents
    assert not ends[Role.RECEIVER].inside_frame


@pytest.mark.parametrize(("state", "speaker"), list(product(State, Role)))
@given(message=MESSAGES)
def test_every_state_and_message_is_a_row_or_a_refusal(
    state: State, speaker: Role, message: m.Message
) -> None:
    """The table is the whole rule: without a row neither side says it, and neither side listens to it."""
    row = TRANSITIONS.get((state, speaker, type(message)))
    for role in Role:
        end = in_state(state, role)
        try:
            if role is speaker:
                end.send(message)
            else:
                end.receive_data(encode(message))
        except WireError:
            assert end.state is state
        else:
            ignored = state is State.FAILED and role is not speaker
            assert ignored or (row is not None and end.state is row)


@given(noise=st.binary(max_size=400), role=st.sampled_from(Role), state=st.sampled_from(State))
def test_noise_is_heard_or_refused_and_nothing_else(noise: bytes, role: Role, state: State) -> None:
    end = in_state(state, role)
    with suppress(WireError):
        for byte in noise:
            end.receive_data(bytes([byte]))


@given(at=st.integers(0), flip=st.integers(1, 255))
def test_a_flipped_byte_is_another_message_or_refused(at: int, flip: int) -> None:
    stream = bytearray(streams()[Role.AGENT])
    stream[at % len(stream)] ^= flip
    end, hello = Connection(Role.RECEIVER), len(encode(CONVERSATION[0][1]))
    with suppress(WireError):
        end.receive_data(stream[:hello])
        end.send(CONVERSATION[1][1])
        end.receive_data(stream[hello:])


@pytest.mark.parametrize("length", [m.MAX_FRAME + 1, 2**32 - 1])
def test_a_frame_too_long_is_refused_by_its_header(length: int) -> None:
    with pytest.raises(FrameTooLongError, match=f"{length} bytes, the most is {m.MAX_FRAME}"):
        in_state(State.OPEN, Role.RECEIVER).receive_data(HEADER.pack(length, 3))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.message.__name__)
def test_each_message_has_its_own_limit_and_is_refused_by_its_header(layout) -> None:
    with pytest.raises(FrameTooLongError, match=layout.message.__name__):
        Connection(Role.RECEIVER).receive_data(HEADER.pack(layout.limit + 1, layout.number))


def test_a_frame_without_a_type_and_an_unknown_type_are_refused() -> None:
    with pytest.raises(WireError, match="without a type"):
        Connection(Role.RECEIVER).receive_data(HEADER.pack(0, 0))
    with pytest.raises(WireError, match="unknown type 99"):
        Connection(Role.RECEIVER).receive_data(HEADER.pack(1, 99))


@pytest.mark.parametrize("speaker_checks", [True, False])
@pytest.mark.parametrize(
    ("said", "message", "reason"),
    [
        ([], data(2), "sequence number 2 after 0"),
        ([data(1)], data(1), "sequence number 1 after 1"),
        ([data(1)], m.Zero(3, 0, 0, 1), "sequence number 3 after 1"),
        ([data(1)], m.Complete(), "1 frames unacknowledged"),
        ([m.DigestsRequest(0, 0, 1)], m.Complete(), "1 questions open"),
    ],
)
def test_the_agents_rules(said: list, message: m.Message, reason: str, speaker_checks: bool) -> None:
    ends = opened()
    for before in said:
        say(ends, Role.AGENT, before)
    with pytest.raises(WireError, match=reason):
        if speaker_checks:
            ends[Role.AGENT].send(message)
        else:
            ends[Role.RECEIVER].receive_data(encode(message))


@pytest.mark.parametrize("speaker_checks", [True, False])
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (m.Ack(0), "acknowledgement of 0"),
        (m.Ack(4), "acknowledgement of 4"),
        (m.Ack(1), "acknowledgement of 1"),
        (m.Digests(0, 0, bytes(32)), "not the answer"),
        (m.Digests(1, 0, bytes(64)), "not the answer"),
        (m.Digests(0, 1, bytes(64)), "not the answer"),
    ],
)
def test_the_receivers_rules(message: m.Message, reason: str, speaker_checks: bool) -> None:
    """After three writes of which the first is acknowledged, and a question."""
    ends = opened()
    for seq in (1, 2, 3):
        say(ends, Role.AGENT, data(seq))
    say(ends, Role.RECEIVER, m.Ack(1))
    say(ends, Role.AGENT, m.DigestsRequest(0, 0, 2))
    with pytest.raises(WireError, match=reason):
        if speaker_checks:
            ends[Role.RECEIVER].send(message)
        else:
            ends[Role.AGENT].receive_data(encode(message))


def test_the_window_counts_frames_until_they_are_acknowledged() -> None:
    ends = opened(window=m.MAX_FRAME)
    agent, content = ends[Role.AGENT], bytes(500_000)
    frame = len(encode(data(1, content)))
    say(ends, Role.AGENT, data(1, content))
    say(ends, Role.AGENT, data(2, content))
    assert (agent.unacked, agent.window_left, agent.next_seq) == (2 * frame, m.MAX_FRAME - 2 * frame, 3)
    with pytest.raises(WireError, match="unacknowledged, window"):
        ends[Role.RECEIVER].receive_data(encode(data(3, content)))
    say(ends, Role.RECEIVER, m.Ack(1))
    assert agent.unacked == frame
    agent.send(data(3, content))


def test_after_a_failure_the_rest_is_not_looked_at() -> None:
    end = in_state(State.OPEN, Role.RECEIVER)
    failure = m.Failure("SourceDisk.ReadFailed", "cannot read", "check the disk")
    assert end.receive_data(encode(failure) + b"\xff" * 100) == [failure]
    assert end.receive_data(b"\xff" * (3 << 20)) == []
    assert end.failed
    assert not end.inside_frame
