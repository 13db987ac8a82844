"""A TLS stream and the Connection on it, driven by one thread: messages in, messages out.

OpenSSL's objects are not for two threads at once. So the socket does not block, and the agent reads while it
waits to write; the receiver need not, and two ends that both only write never wait for each other.
"""

import select
import socket
import ssl
import time
from contextlib import suppress
from typing import NoReturn, Protocol

from rehost.core.errors import ConnectionLostError, RehostError, code_of, reported
from rehost.wire.connection import Connection
from rehost.wire.linkspeed import LinkSpeed
from rehost.wire.messages import Data, Failure, Message, Patch, Role

STALL = 120.0  # seconds without any progress of a write after which the peer counts as lost
_LOOK = 0.5  # seconds after which a pace is asked again
LINGER = 3.0  # seconds that a failing side waits for the peer to read why
_AGAIN = "the agent connects again by itself; if this repeats, look at the receiver's log and the network"


class Pace(Protocol):
    """Lets the bytes of a frame go piece by piece."""

    size: int  # bytes of the piece that may go now; the first is let go by whoever sends the frame

    def take(self, left: int) -> None:
        """The next piece, of so many bytes that are left."""

    def wait(self) -> float:
        """Seconds until it may go; to be asked again then."""


class Channel:
    """Raises ConnectionLostError when the stream ends, and a received Failure as the error it reports."""

    def __init__(self, sock: ssl.SSLSocket, role: Role, stall: float = STALL) -> None:
        """Takes the socket over, its handshake done."""
        self._sock = sock
        self._stall = stall
        self._kept: list[Message] = []
        self.connection = Connection(role)
        self.link_speed = LinkSpeed(sock)
        self.bytes_sent = self.bytes_received = 0  # bytes of frames
        sock.setblocking(False)

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message, pace: Pace | None = None) -> None:
        """Say it; what the peer says meanwhile is kept for `receive` (agent) or stays unread (receiver).

        Only agents have a `pace`.
        """
        rest = memoryview(self.connection.send(message))
        size = pace.size if pace else len(rest)
        while rest:
            self._send(rest[:size])
            rest = rest[size:]
            if rest and pace:
                pace.take(len(rest))
                self._wait_for(pace)
                size = pace.size

    def _send(self, rest: memoryview) -> None:
        while rest:
            try:
                count = self._sock.send(rest)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self._wait_to_write()
            except OSError as error:
                self._last_words(error)
            else:
                self.bytes_sent += count
                rest = rest[count:]

    def receive(self, timeout: float) -> list[Message]:
        """What the peer said, in order; empty if it said nothing for `timeout` seconds.

        The payload of a Data or Patch is lent until the next call.
        """
        kept, self._kept = self._kept, []
        deadline = time.monotonic() + timeout
        while not kept:
            messages = self._read()
            if messages:
                return messages
            left = deadline - time.monotonic()
            if left < 0 or (messages is None and not self._ready(select.POLLIN, left)):
                break
        return kept

    def fail(self, error: BaseException) -> None:
        """Tell the peer why, then close; errors that are not of the tree go without their text."""
        failure = Failure(code_of(error), "an internal error; the log of that side has more", "")
        if isinstance(error, RehostError):
            failure = Failure(code_of(error), error.what, error.advice)
        with suppress(RehostError):
            self.send(failure)
            self._linger()
        self.close()

    def close(self) -> None:
        self._sock.close()

    def _read(self) -> list[Message] | None:
        """What one TLS record completes, maybe nothing; None if none is there."""
        try:
            count = self._sock.recv_into(self.connection.space())
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise ConnectionLostError(f"the connection broke: {error}", _AGAIN) from error
        if count == 0:
            raise ConnectionLostError("the peer ended the connection", _AGAIN)
        self.bytes_received += count
        messages = self.connection.received(count)
        if messages and isinstance(messages[-1], Failure):
            failure = messages[-1]
            raise reported(failure.code, failure.what, failure.advice)
        return messages

    def _wait_for(self, pace: Pace) -> None:
        while (seconds := pace.wait()) > 0:
            if self._ready(select.POLLIN, min(seconds, _LOOK)):
                self._keep()

    def _wait_to_write(self) -> None:
        reading = self.connection.role is Role.AGENT
        ready = self._ready(select.POLLOUT | (select.POLLIN if reading else 0), self._stall)
        if not ready:
            raise ConnectionLostError(f"the peer took nothing for {self._stall:g} s", _AGAIN)
        if reading and ready & select.POLLIN:
            self._keep()

    def _keep(self) -> None:
        for message in self._read() or ():
            if isinstance(message, Data | Patch):
                raise AssertionError("a payload is lent and cannot be kept")
            self._kept.append(message)

    def _ready(self, events: int, timeout: float) -> int:
        poll = select.poll()
        poll.register(self._sock, events)
        found = poll.poll(max(0, int(timeout * 1000) + 1))
        return found[0][1] if found else 0

    def _last_words(self, error: OSError) -> NoReturn:
        """A peer that fails says why before it closes: that reason is worth more than a broken pipe."""
        with suppress(ConnectionLostError):
            while self._read() is not None:
                pass
        raise ConnectionLostError(f"the connection broke: {error}", _AGAIN) from error

    def _linger(self) -> None:
        """To close with bytes unread would reset the connection and could take the reason away."""
        deadline = time.monotonic() + LINGER
        with suppress(OSError):  # the peer is gone already
            socket.socket.shutdown(self._sock, socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0 and self._ready(select.POLLIN, left):
                if not socket.socket.recv(self._sock, 1 << 16):
                    return
