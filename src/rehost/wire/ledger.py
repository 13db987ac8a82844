"""What both ends of a connection count: sequence numbers, the window, questions without an answer."""

from collections import deque

from rehost.core.digest import SIZE
from rehost.core.errors import WireError
from rehost.wire import messages as m
from rehost.wire.codec import UPGRADE


class Ledger:
    """The rules that the state table cannot hold; `enter` each message that goes either way."""

    def __init__(self) -> None:
        self.window = 0
        self.unacked = 0  # bytes
        self.last_seq = 0
        self._unacked: deque[tuple[int, int]] = deque()  # (seq, bytes of the frame)
        self._asked: deque[m.DigestsRequest] = deque()

    def enter(self, message: m.Message, size: int) -> None:
        """Count a message whose frame has `size` bytes; WireError if a rule forbids it."""
        match message:
            case m.Welcome():
                self.window = message.window
            case m.Data() | m.Zero() | m.Patch():
                self._write(message.seq, size)
            case m.Ack():
                self._ack(message.seq)
            case m.DigestsRequest():
                self._asked.append(message)
            case m.Digests():
                self._answer(message)
            case m.Complete():
                self._complete()

    def _write(self, seq: int, size: int) -> None:
        if seq != self.last_seq + 1:
            raise WireError(f"sequence number {seq} after {self.last_seq}", UPGRADE)
        if self.unacked + size > self.window:
            raise WireError(f"{self.unacked + size} bytes unacknowledged, window {self.window}", UPGRADE)
        self.last_seq = seq
        self.unacked += size
        self._unacked.append((seq, size))

    def _ack(self, seq: int) -> None:
        if not self._unacked or not self._unacked[0][0] <= seq <= self.last_seq:
            raise WireError(f"an acknowledgement of {seq}, which is not waiting for one", UPGRADE)
        while self._unacked and self._unacked[0][0] <= seq:
            self.unacked -= self._unacked.popleft()[1]

    def _answer(self, digests: m.Digests) -> None:
        asked = self._asked.popleft() if self._asked else None
        if asked != m.DigestsRequest(digests.volume, digests.first, len(digests.digests) // SIZE):
            raise WireError(f"digests of volume {digests.volume} that are not the answer to {asked}", UPGRADE)

    def _complete(self) -> None:
        if self._unacked or self._asked:
            waiting = f"{len(self._unacked)} frames unacknowledged and {len(self._asked)} questions open"
            raise WireError(f"a Complete with {waiting}", UPGRADE)
