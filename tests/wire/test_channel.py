"""Channels over real TLS between two threads."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehost.core.errors import ConnectionLostError, ReportedError, VolumeFullError
from rehost.wire import messages as m
from rehost.wire.channel import Channel
from rehost.wire.tls import client_context, connect, server_context
from tests.receive.site import write_keys

Pair = tuple[Channel, Channel]


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Pair]:
    """An agent's and a receiver's channel, both open."""
    write_keys(tmp_path)
    context = server_context(tmp_path / "server.crt", tmp_path / "server.key")
    trust = client_context((tmp_path / "server.crt").read_text())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served: list[Channel] = []
        thread = run(lambda: served.append(_serve(listener, context)))
        agent = Channel(connect("127.0.0.1", listener.getsockname()[1], trust, 10), m.Role.AGENT, stall=20)
        thread.join()
    receiver = served[0]
    agent.send(m.Hello(1, "ticket", 0))
    assert receiver.receive(10) == [m.Hello(1, "ticket", 0)]
    receiver.send(m.Welcome(1, 16 << 20, ()))
    assert agent.receive(10) == [m.Welcome(1, 16 << 20, ())]
    yield agent, receiver
    agent.close()
    receiver.close()


def _serve(listener: socket.socket, context) -> Channel:
    return Channel(context.wrap_socket(listener.accept()[0], server_side=True), m.Role.RECEIVER, stall=20)


def run(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def data(seq: int, content: bytes) -> m.Data:
    return m.Data(seq, 0, 0, b"d" * 32, len(content), m.Encoding.RAW, content)


def test_two_ends_that_write_at_once_do_not_wait_for_each_other(ends: Pair) -> None:
    """Far more than the sockets' buffers each way: the agent has to read while it writes."""
    agent, receiver = ends
    rounds, chunk = 60, bytes(1 << 18)

    def answer() -> None:
        heard = 0
        while heard < 2 * rounds:
            for message in receiver.receive(10):
                heard += 1
                if isinstance(message, m.DigestsRequest):
                    receiver.send(m.Digests(0, 0, bytes(m.MAX_COUNT * 32)))
                else:
                    receiver.send(m.Ack(message.seq))

    thread, heard = run(answer), []
    for number in range(rounds):
        agent.send(m.DigestsRequest(0, 0, m.MAX_COUNT))
        while agent.connection.window_left < len(chunk) + 100:
            heard += agent.receive(10)
        agent.send(data(number + 1, chunk))
    while agent.connection.unacked or sum(isinstance(h, m.Digests) for h in heard) < rounds:
        heard += agent.receive(10)
    thread.join()
    assert [h.seq for h in heard if isinstance(h, m.Ack)] == list(range(1, rounds + 1))


def test_silence_is_an_empty_list(ends: Pair) -> None:
    assert ends[0].receive(0) == []
    assert ends[0].receive(0.05) == []


def test_a_failure_raises_as_the_class_of_its_code(ends: Pair) -> None:
    ends[1].fail(VolumeFullError("the disk is full", "make room"))
    with pytest.raises(VolumeFullError, match="the disk is full: make room"):
        ends[0].receive(10)


def test_a_failure_of_an_unknown_code_keeps_it(ends: Pair) -> None:
    ends[1].send(m.Failure("New.Code", "what", "advice"))
    with pytest.raises(ReportedError, match="what: advice") as caught:
        ends[0].receive(10)
    assert caught.value.reported_code == "New.Code"


def test_an_internal_error_does_not_tell_its_text(ends: Pair) -> None:
    ends[1].fail(RuntimeError("secret"))
    with pytest.raises(ReportedError) as caught:
        ends[0].receive(10)
    assert caught.value.reported_code == "InternalError"
    assert "secret" not in str(caught.value)


def test_the_reason_arrives_although_the_agent_goes_on_writing(ends: Pair) -> None:
    """The receiver fails with megabytes unread; a reset must not take its reason away."""
    agent, receiver = ends
    thread = run(lambda: (time.sleep(0.2), receiver.fail(VolumeFullError("full", "make room"))))
    with pytest.raises(VolumeFullError):
        for seq in range(1, 1000):
            while agent.connection.window_left < 1 << 20:
                agent.receive(10)
            agent.send(data(seq, bytes(1 << 19)))
    thread.join()


def test_the_end_of_the_stream_is_a_lost_connection(ends: Pair) -> None:
    ends[1].close()
    with pytest.raises(ConnectionLostError, match="connects again"):
        ends[0].receive(10)


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("reset", [True, False])
def test_to_fail_towards_a_peer_that_is_gone_is_no_error(ends: Pair, reset: bool, noticed: bool) -> None:
    agent, receiver = ends
    if reset:
        agent._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    agent.close()
    if noticed:
        with pytest.raises(ConnectionLostError):
            receiver.receive(10)
    receiver.fail(VolumeFullError("full", "make room"))


def test_a_peer_that_takes_nothing_is_lost(ends: Pair) -> None:
    agent = ends[0]
    agent._stall = 0.3
    with pytest.raises(ConnectionLostError, match=r"took nothing for 0\.3 s"):
        for seq in range(1, 1000):
            agent.send(data(seq, bytes(1 << 18)))


def test_no_receiver_at_the_address(tmp_path: Path) -> None:
    write_keys(tmp_path)
    trust = client_context((tmp_path / "server.crt").read_text())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionLostError, match="no connection to the receiver at 127"):
        connect("127.0.0.1", port, trust, 5)


def test_a_receiver_of_another_authority_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_keys(tmp_path / name)
    context = server_context(tmp_path / "one" / "server.crt", tmp_path / "one" / "server.key")
    trust = client_context((tmp_path / "other" / "server.crt").read_text())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = run(lambda: _refused(listener, context))
        with pytest.raises(ConnectionLostError, match="CERTIFICATE_VERIFY_FAILED"):
            connect("127.0.0.1", listener.getsockname()[1], trust, 5)
        thread.join()


def _refused(listener: socket.socket, context) -> None:
    with pytest.raises(OSError):
        _serve(listener, context)


class Pieces:
    """A pace of pieces of at most 1000 bytes, each asked for twice before it may go."""

    def __init__(self) -> None:
        self.size, self.taken, self.asked = 1000, [1000], 0

    def take(self, left: int) -> None:
        self.size = min(left, 1000)
        self.taken.append(self.size)

    def wait(self) -> float:
        self.asked += 1
        return 0.001 * (self.asked % 2)


def test_a_frame_goes_piece_by_piece_and_what_is_heard_meanwhile_is_kept(ends: Pair) -> None:
    agent, receiver = ends
    content, pace = bytes(range(256)) * 100, Pieces()
    agent.send(m.DigestsRequest(0, 0, 1))
    assert receiver.receive(10) == [m.DigestsRequest(0, 0, 1)]
    receiver.send(m.Digests(0, 0, b"a" * 32))
    agent.send(data(1, content), pace)
    ((heard,),) = (receiver.receive(10),)
    assert bytes(heard.payload) == content
    assert len(content) < sum(pace.taken) < len(content) + 100
    assert pace.asked == 2 * (len(pace.taken) - 1)
    assert agent.receive(10) == [m.Digests(0, 0, b"a" * 32)]
