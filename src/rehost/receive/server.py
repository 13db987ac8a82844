"""The receiver's threads: one accepts, one for each connection."""

import select
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from typing import Any

from rehost.core.errors import ConnectionLostError, RehostError, WireError, code_of
from rehost.receive.admissions import Admissions
from rehost.receive.buffers import Buffers
from rehost.receive.session import Admission, Session
from rehost.receive.shares import Shares
from rehost.wire.channel import Channel
from rehost.wire.codec import UPGRADE
from rehost.wire.messages import Data, Hello, Message, Patch, Role
from rehost.wire.tls import prepare

MOST_CONNECTIONS = 256
GREETING = 10.0  # seconds for the TLS handshake, and again for the Hello
_TICK = 0.5  # seconds after which a silent connection looks whether it should end
_SILENCE = 0.01  # seconds without a byte after which a batch is not made to wait for more


class Stop:
    """The word to end, which a signal's handler may give.

    A handler can interrupt itself: for a parent's end the kernel sends the signal once for each thread of the
    parent. The lock in an Event would then wait for itself for ever.
    """

    def __init__(self) -> None:
        self._said = False

    def set(self) -> None:
        self._said = True

    def is_set(self) -> bool:
        return self._said


class Receiver:
    """Serves a listening socket until `stop` is set."""

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        admissions: Admissions,
        log: Any,
        shares: Shares | None = None,
    ) -> None:
        """`shares` of the bandwidth; None: no limit."""
        self._shares = shares or Shares(0)
        self._listener = listener
        self._context = context
        self._admissions = admissions
        self._log = log
        self._buffers = Buffers()
        self._threads: set[threading.Thread] = set()
        self.stop = Stop()

    def serve(self) -> None:
        """Returns after `stop`, when all connections have ended."""
        while not self.stop.is_set():
            if select.select([self._listener], [], [], _TICK)[0]:
                self._accept()
        self._listener.close()
        for thread in list(self._threads):
            thread.join()

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except OSError as error:
            # A peer that is gone already, or no descriptor is left: neither ends the receiver.
            self._log.warning("accept failed", error=str(error))
            time.sleep(_TICK)
            return
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        if len(self._threads) >= MOST_CONNECTIONS:
            self._log.warning("too many connections", peer=peer[0], most=MOST_CONNECTIONS)
            sock.close()
            return
        thread = threading.Thread(target=self._greet, args=(sock, f"{peer[0]}:{peer[1]}"), daemon=True)
        self._threads.add(thread)
        thread.start()

    def _greet(self, sock: socket.socket, peer: str) -> None:
        log = self._log.bind(peer=peer)
        try:
            sock.settimeout(GREETING)
            prepare(sock)
            secure = self._context.wrap_socket(sock, server_side=True)
        except OSError as error:
            log.info("no TLS", error=str(error))
            sock.close()
            return
        channel = Channel(secure, Role.RECEIVER)
        _Conversation(channel, self._admissions, self._buffers, self.stop, log, self._shares).hold()


class _Conversation:
    """One connection from its Hello to its end."""

    def __init__(
        self,
        channel: Channel,
        admissions: Admissions,
        buffers: Buffers,
        stop: Stop,
        log: Any,
        shares: Shares,
    ) -> None:
        self._shares, self._run = shares, ""
        self._channel = channel
        self._admissions = admissions
        self._buffers = buffers
        self._stop = stop
        self._cut = threading.Event()
        self._log = log

    def hold(self) -> None:
        """Until the end; the peer is told of every error, and only once the replica is let go."""
        error = self._until_end()
        if error is None:
            self._channel.close()
        else:
            self._channel.fail(error)

    def _until_end(self) -> Exception | None:
        with ExitStack() as stack:
            session = Session(lambda hello: self._admit(hello, stack), self._buffers)
            stack.callback(session.close)
            try:
                self._talk(session)
            except RehostError as error:
                self._save(session)
                self._log.warning(
                    "connection failed", code=code_of(error), reason=str(error), **_figures(session)
                )
                return error
            except Exception as error:  # noqa: BLE001 - the last frame of a thread: logged in full, and told
                self._log.exception("connection failed", **_figures(session))
                return error
            self._log.info("connection complete", **_figures(session))
            return None

    def _admit(self, hello: Hello, stack: ExitStack) -> Admission:
        admission = stack.enter_context(self._admissions.admitted(hello, self._cut.set))
        ticket = admission.ticket
        self._run = ticket.run
        self._log = self._log.bind(run=ticket.run, generation=ticket.generation, stream=hello.stream)
        self._log.info("connection opened", replica=ticket.replica)
        return admission

    def _talk(self, session: Session) -> None:
        self._hear_hello(session)
        while not session.done:
            self._check_wanted()
            if pause := self._shares.wait(self._run):
                self._pause(session, pause)
                continue
            messages = self._channel.receive(_SILENCE if session.pending else _TICK)
            if not messages and not session.pending:
                session.check()  # what is sealed or taken over is let go, whatever the peer does
            for message in messages:
                for answer in session.handle(message, time.monotonic()):
                    self._channel.send(answer)
            self._shares.take(self._run, sum(map(_bytes_of, messages)))
            if session.pending and (not messages or session.due(time.monotonic())):
                self._commit(session)

    def _pause(self, session: Session, seconds: float) -> None:
        """What came is acknowledged meanwhile; the sender notices by its full window."""
        if session.pending and session.due(time.monotonic()):
            self._commit(session)
        session.check()
        time.sleep(min(seconds, _TICK))

    def _commit(self, session: Session) -> None:
        for answer in session.commit():
            self._channel.send(answer)

    def _hear_hello(self, session: Session) -> None:
        messages = self._channel.receive(GREETING)
        if not messages:
            raise WireError(f"no Hello within {GREETING:g} s", UPGRADE)
        for message in messages:
            for answer in session.handle(message, time.monotonic()):
                self._channel.send(answer)

    def _check_wanted(self) -> None:
        if self._stop.is_set():
            raise ConnectionLostError("the receiver is being stopped", "the agent connects again by itself")
        if self._cut.is_set():
            raise ConnectionLostError(
                "a newer connection of this stream took its place", "nothing to do, it goes on there"
            )

    def _save(self, session: Session) -> None:
        """What came whole need not come again; if it cannot be kept, it was never acknowledged."""
        try:
            session.commit()
        except RehostError as error:
            self._log.warning("the last batch is lost", code=error.code, reason=str(error))


def _bytes_of(message: Message) -> int:
    return len(message.payload) if isinstance(message, Data | Patch) else 0


def _figures(session: Session) -> dict[str, int]:
    return {"chunks": session.chunks, "zeroes": session.zeroes}
