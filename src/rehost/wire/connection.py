"""One connection of the data plane as a state machine without I/O; both ends use the same class.

Bytes in, messages out (`receive_data`, or `space` and `received` without copies); messages in, bytes out
(`send`). What may be said when is the table TRANSITIONS; `Ledger` holds what a table cannot.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto

from rehost.core.errors import WireError
from rehost.wire import messages as m
from rehost.wire.codec import HEADER, UPGRADE, decode, encode
from rehost.wire.frames import FrameBuffer
from rehost.wire.ledger import Ledger
from rehost.wire.messages import Role


class State(Enum):
    OPENING = auto()  # nothing said yet
    GREETED = auto()  # the ticket is with the receiver
    OPEN = auto()  # chunks and digests go over
    COMPLETING = auto()  # the receiver checks that nothing is absent
    DONE = auto()
    FAILED = auto()  # one side gave up and said why


_ANY = (State.OPENING, State.GREETED, State.OPEN, State.COMPLETING)

TRANSITIONS: dict[tuple[State, Role, type[m.Message]], State] = {
    (State.OPENING, Role.AGENT, m.Hello): State.GREETED,
    (State.GREETED, Role.RECEIVER, m.Welcome): State.OPEN,
    (State.OPEN, Role.AGENT, m.Data): State.OPEN,
    (State.OPEN, Role.AGENT, m.Zero): State.OPEN,
    (State.OPEN, Role.AGENT, m.Patch): State.OPEN,
    (State.OPEN, Role.RECEIVER, m.Ack): State.OPEN,
    (State.OPEN, Role.AGENT, m.DigestsRequest): State.OPEN,
    (State.OPEN, Role.RECEIVER, m.Digests): State.OPEN,
    (State.OPEN, Role.AGENT, m.Complete): State.COMPLETING,
    (State.COMPLETING, Role.RECEIVER, m.Completed): State.DONE,
    **{(state, role, m.Failure): State.FAILED for state in _ANY for role in Role},
}


class Connection:
    """One end of a connection; not for several threads at once."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.state = State.OPENING
        self._frames = FrameBuffer()
        self._ledger = Ledger()

    @property
    def failed(self) -> bool:
        return self.state is State.FAILED

    @property
    def unacked(self) -> int:
        """Bytes of Data, Zero and Patch frames that no Ack covers yet."""
        return self._ledger.unacked

    @property
    def window_left(self) -> int:
        """Bytes of Data, Zero and Patch frames that may be sent now (agent) or come in (receiver)."""
        return self._ledger.window - self._ledger.unacked

    @property
    def next_seq(self) -> int:
        """The number that the next Data, Zero or Patch has to carry."""
        return self._ledger.last_seq + 1

    @property
    def inside_frame(self) -> bool:
        """A part of a frame has come: the end of the stream here would tear it."""
        return len(self._frames) > 0

    def send(self, message: m.Message) -> bytes:
        """The bytes that say it; WireError if the protocol does not allow it now."""
        frame = encode(message)
        self._follow(self.role, message, len(frame))
        return frame

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[m.Message]:
        """What the peer's next bytes say, in order; the messages own their bytes."""
        rest, said = memoryview(data), []
        while rest and not self.failed:
            space = self.space()
            count = min(len(space), len(rest))
            space[:count] = rest[:count]
            rest = rest[count:]
            said += [_owned(message) for message in self.received(count)]
        return said

    def space(self) -> memoryview:
        """A buffer for the peer's next bytes; ends the loan of all payloads given out before."""
        return self._frames.space()

    def received(self, count: int) -> list[m.Message]:
        """What is said once `count` bytes were put into `space`; the payload of a Data or Patch is lent."""
        self._frames.filled(count)
        return list(self._said())

    def _said(self) -> Iterator[m.Message]:
        """After a Failure of either side what still comes is not looked at."""
        for layout, body in self._frames.frames() if not self.failed else ():
            message = decode(layout, body)
            self._follow(self.role.peer, message, HEADER.size + len(body))
            yield message
            if self.failed:
                break
        if self.failed:
            self._frames.drop()

    def _follow(self, speaker: Role, message: m.Message, size: int) -> None:
        state = TRANSITIONS.get((self.state, speaker, type(message)))
        if state is None:
            raise WireError(
                f"a {type(message).__name__} of the {speaker.value} in state {self.state.name}", UPGRADE
            )
        self._ledger.enter(message, size)
        self.state = state


def _owned(message: m.Message) -> m.Message:
    if not isinstance(message, m.Data | m.Patch):
        return message
    return replace(message, payload=bytes(message.payload))


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    rows = [
        f"    {a.name} --> {b.name}: {speaker.value}: {message.__name__}"
        for (a, speaker, message), b in TRANSITIONS.items()
        if message is not m.Failure
    ]
    failures = [f"    {state.name} --> FAILED: either: Failure" for state in _ANY]
    return "\n".join(["stateDiagram-v2", "    [*] --> OPENING", *rows, *failures, "    DONE --> [*]"]) + "\n"
