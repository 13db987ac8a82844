"""Who is in: verifies tickets, shares one open replica among its connections, ends displaced streams."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rehost.block.writer import ReplicaWriter, open_writer
from rehost.core.errors import ConnectionLostError, ReceiverBusyError
from rehost.receive.session import Admission
from rehost.receive.ticket import Ticket, verify
from rehost.receive.volumes import devices
from rehost.wire.messages import Hello

CONNECTIONS = 15  # with a ticket, of all runs; docs/decisions/0013 has what each takes
FOR_FIRST = 6  # of them kept for stream 0 of runs: a run with many streams does not keep others out
_DISPLACED_WAIT = 30.0  # seconds that a new stream waits for the one it displaces


@dataclass(slots=True)
class _Shared:
    replica: ReplicaWriter
    users: int = 0


@dataclass(slots=True)
class _Stream:
    cut: Callable[[], None]
    ended: threading.Event = field(default_factory=threading.Event)


class Admissions:
    """One for a receiver; safe for several threads."""

    def __init__(self, replicas: Path, key: bytes, clock: Callable[[], float]) -> None:
        """`replicas`: the folder of the replica folders; `key`: what tickets are signed with."""
        self._replicas = replicas
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._shared: dict[str, _Shared] = {}
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._streams: dict[tuple[str, int], _Stream] = {}

    @contextmanager
    def admitted(self, hello: Hello, cut: Callable[[], None]) -> Iterator[Admission]:
        """The replica of a Hello's ticket, open while this is held.

        `cut` has to end the connection soon, called from another thread: a newer connection of the same
        stream calls it, and then waits for this one to leave.
        """
        ticket = verify(hello.ticket, self._key, self._clock())
        with self._alone(ticket, hello.stream, cut), self._opened(ticket) as replica:
            yield Admission(ticket, replica)

    @contextmanager
    def _alone(self, ticket: Ticket, number: int, cut: Callable[[], None]) -> Iterator[None]:
        key, stream = (ticket.run, number), _Stream(cut)
        with self._lock:
            before = self._streams.get(key)
            if before is None:
                self._check_room(number)
            self._streams[key] = stream
        try:
            self._displace(before)
            yield
        finally:
            with self._lock:
                if self._streams.get(key) is stream:
                    del self._streams[key]
            stream.ended.set()

    def _check_room(self, number: int) -> None:
        most = CONNECTIONS - (FOR_FIRST if number else 0)
        if len(self._streams) >= most:
            raise ReceiverBusyError(
                f"the receiver has {len(self._streams)} connections, as many as it takes",
                "nothing to do: a run goes on with the streams that it has, and waits for its first one",
            )

    @staticmethod
    def _displace(before: _Stream | None) -> None:
        if before is None:
            return
        before.cut()
        if not before.ended.wait(_DISPLACED_WAIT):
            raise ConnectionLostError(
                "an older connection of this stream does not end", "the agent connects again by itself"
            )

    @contextmanager
    def _opened(self, ticket: Ticket) -> Iterator[ReplicaWriter]:
        shared = self._share(ticket.replica)
        try:
            yield shared.replica
        finally:
            self._release(ticket.replica, shared)

    def _share(self, name: str) -> _Shared:
        """One that broke, or on which a newer layer lies, is closed at once: it may hold locks on images."""
        with self._turn(name):
            shared = self._shared.get(name)
            if shared is not None and (shared.replica.broken or shared.replica.outdated):
                shared.replica.close()
                shared = None
            if shared is None:
                shared = _Shared(open_writer(self._replicas / name, devices))
                self._shared[name] = shared
            shared.users += 1
            return shared

    def _release(self, name: str, shared: _Shared) -> None:
        with self._turn(name):
            shared.users -= 1
            if shared.users == 0:
                shared.replica.close()
                if self._shared.get(name) is shared:
                    del self._shared[name]

    def _turn(self, name: str) -> threading.Lock:
        """Opening takes a moment, in which other replicas are not kept waiting."""
        with self._lock:
            return self._turns[name]
