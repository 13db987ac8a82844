"""The kernel's figures of real connections."""

import socket
import threading
import time

from rehost.wire.linkspeed import LinkSpeed

MIB = 1 << 20
SENT = 16 * MIB


def test_nothing_is_known_before_anything_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        with sock, listener.accept()[0]:
            assert LinkSpeed(sock)() is None


def test_a_reader_that_is_slow_is_not_a_slow_network() -> None:
    """It takes 8 MB/s at most; loopback carries hundreds, now and then at least on a busy machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        with sock, peer:
            reader = threading.Thread(target=_read_slowly, args=(peer,))
            reader.start()
            speed, began = LinkSpeed(sock), time.monotonic()
            for _ in range(SENT // MIB):
                sock.sendall(bytes(MIB))
                found = speed()
            sock.shutdown(socket.SHUT_WR)
            reader.join()
            taken = SENT / (time.monotonic() - began)
    assert found is not None
    assert found > 2 * taken


def _read_slowly(peer: socket.socket) -> None:
    while peer.recv(MIB // 8, socket.MSG_WAITALL):
        time.sleep(1 / 64)


def test_sockets_that_are_not_tcp_tell_nothing() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert LinkSpeed(one)() is None
