"""One stream to the receiver: what was said stays here until it is durable there, whatever the network does.

A stream belongs to one thread. Everything is put into queues, and `_until` drives the connection until the
queues are as the caller needs them: it connects, sends what the window and the bandwidth limit allow, and
takes what the receiver says. A lost connection is only one more thing that happens on the way.
"""

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLSocket
from typing import NoReturn

from rehost.agent.copy.bandwidth import Limit, Pace
from rehost.agent.copy.gate import Gate
from rehost.agent.copy.tally import Tally
from rehost.core.errors import ConnectionLostError, ReceiverBusyError, WireError
from rehost.wire import messages as m
from rehost.wire.channel import Channel
from rehost.wire.connection import State

_TICK = 0.5  # seconds between two looks at the gate
OUTSTANDING = 32 << 20  # bytes that the streams of a run keep until they are durable; inside a freeze twice
_OVERHEAD = 128  # more than a frame has besides its payload
SILENCE = 120.0  # seconds without a word or a byte taken after which a receiver that owes us counts as lost
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds


@dataclass(slots=True)
class Item:
    """A chunk, pages of one, or a run of zero chunks, on its way."""

    volume: int
    first: int
    count: int
    length: int  # bytes of content
    weight: int  # used bytes in it, which count as done once it is durable
    digest: bytes = b""
    encoding: m.Encoding = m.Encoding.RAW
    payload: bytes | None = None  # None: zeroes
    pages: int = 0  # that the content is, see `core.pages`; 0: whole chunks
    pace: Pace | None = None  # as the bandwidth limit lets it go; None: it has not been its turn yet

    @property
    def size(self) -> int:
        """No less than its frame has bytes."""
        return _OVERHEAD + len(self.payload or b"")

    def message(self, seq: int) -> m.Data | m.Patch | m.Zero:
        if self.payload is None:
            return m.Zero(seq, self.volume, self.first, self.count)
        content = self.digest, self.length, self.encoding, self.payload
        if self.pages:
            return m.Patch(seq, self.volume, self.first, self.pages, *content)
        return m.Data(seq, self.volume, self.first, *content)


class Stream:
    """`strict` (inside a freeze): a lost connection is raised at once, and `put` does not wait for the
    window unless as much again is already waiting, so that reading comes to its end as early as may be."""

    def __init__(
        self,
        hello: m.Hello,
        dial: Callable[[], SSLSocket],
        limit: Limit,
        tally: Tally,
        gate: Gate,
        patience: float,
        share: int = OUTSTANDING,
    ) -> None:
        """`patience`: seconds to try to reach the receiver before it counts as lost for good; `share`: bytes
        of OUTSTANDING that this stream may use, though the receiver's window may be larger."""
        self._hello, self._dial = hello, dial
        self._limit, self._tally, self._gate = limit, tally, gate
        self._patience, self._share = patience, share
        self._channel: Channel | None = None
        self._unsent: deque[Item] = deque()
        self._unacked: deque[tuple[int, Item]] = deque()
        self._backlog = 0  # bytes in _unsent
        self._unasked: deque[m.DigestsRequest] = deque()
        self._asked: deque[m.DigestsRequest] = deque()
        self._answers: deque[bytes] = deque()
        self._completing = False
        self._completed: deque[tuple[bytes, ...]] = deque()
        self._heard = 0.0  # when the receiver last said or took something
        self._lost_at: float | None = None
        self._waits_for_room, self._told = True, False
        self._pause = _FIRST_PAUSE
        self.welcome: m.Welcome | None = None
        self.strict = False
        self.silence = SILENCE

    @property
    def link_speed(self) -> float | None:
        """Bytes a second that the network lets pass, or the limit; None while that is not known."""
        speeds = (self._limit.rate, self._channel.link_speed() if self._channel else None)
        return min((speed for speed in speeds if speed), default=None)

    def connect(self) -> m.Welcome:
        """Be connected; what the receiver said when it was."""
        self._until(self._connected)
        assert self.welcome is not None
        if self._told:
            self._tally.note, self._told = "", False
        return self.welcome

    def join(self) -> bool:
        """Be connected, if the receiver has room for one more."""
        self._waits_for_room = False
        try:
            self.connect()
        except ReceiverBusyError:
            return False
        finally:
            self._waits_for_room = True
        return True

    def put(self, item: Item) -> None:
        """Give an item to send; it is durable after the next `drain`."""
        self._unsent.append(item)
        self._backlog += item.size
        self._until(lambda: self._backlog <= self._allowance)

    def ask(self, request: m.DigestsRequest) -> None:
        """Ask for digests; `answer` gives the answers in the same order."""
        self._unasked.append(request)
        self._until(lambda: not self._unasked)

    def answer(self) -> bytes:
        self._until(lambda: bool(self._answers))
        return self._answers.popleft()

    def drain(self) -> None:
        """Wait until everything that was put is durable."""
        self._until(lambda: not self._unsent and not self._unacked)

    def complete(self) -> tuple[bytes, ...]:
        """The replica's roots, after every stream has drained."""
        self._completing = True
        self._until(lambda: bool(self._completed))
        roots = self._completed.popleft()
        self.reset()
        return roots

    def reset(self) -> None:
        """Forget everything and hang up."""
        self._hang_up()
        for queue in (self._unsent, self._unacked, self._unasked, self._asked, self._answers):
            queue.clear()
        self._backlog = 0
        self._completing = False

    def _connected(self) -> bool:
        return self._channel is not None

    @property
    def _allowance(self) -> int:
        return min(self.welcome.window, self._share) if self.strict and self.welcome else 0

    def _room(self, channel: Channel) -> int:
        """Bytes that may still be sent before something is acknowledged."""
        window = self.welcome.window if self.welcome else 0
        return channel.connection.window_left - max(0, window - self._share)

    def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._gate.check()
            try:
                self._step(done)
            except ConnectionLostError as error:
                self._lost(error)
            except ReceiverBusyError as error:
                self._refused(error)

    def _step(self, done: Callable[[], bool]) -> None:
        channel = self._channel or self._open()
        wait = self._push(channel)
        for message in channel.receive(0 if done() else wait):
            self._take(message)
        owes = self._unacked or self._asked or self._completing
        if owes and time.monotonic() - self._heard > self.silence:
            raise self._mute()

    def _open(self) -> Channel:
        channel = Channel(self._dial(), m.Role.AGENT)
        try:
            self.welcome = self._greet(channel)
        except BaseException:
            channel.close()
            raise
        self._channel, self._heard = channel, time.monotonic()
        return channel

    def _greet(self, channel: Channel) -> m.Welcome:
        channel.send(self._hello)
        end = time.monotonic() + self.silence
        while time.monotonic() < end:
            self._gate.check()
            for message in channel.receive(_TICK):
                assert isinstance(message, m.Welcome)  # the connection's table lets nothing else come first
                return message
        raise self._mute()

    def _mute(self) -> ConnectionLostError:
        return ConnectionLostError(f"the receiver said nothing for {self.silence:g} s")

    def _push(self, channel: Channel) -> float:
        """Send what may go; the seconds to wait for the receiver, or for the limit."""
        while self._unasked:
            channel.send(self._unasked[0])
            self._asked.append(self._unasked.popleft())
        while self._unsent:
            item = self._unsent[0]
            if self._room(channel) < item.size and self._unacked:
                return _TICK
            if item.pace is None:
                item.pace = Pace(self._limit, item.size, self._gate.check)
            if (wait := item.pace.wait()) > 0:
                return min(wait, _TICK)
            self._send(channel, item)
        if self._completing and not self._unacked and channel.connection.state is State.OPEN:
            channel.send(m.Complete())
            self._heard = time.monotonic()
        return _TICK

    def _send(self, channel: Channel, item: Item) -> None:
        seq, before = channel.connection.next_seq, channel.bytes_sent
        try:
            channel.send(item.message(seq), item.pace)
        finally:
            self._tally.add(item.volume, sent=channel.bytes_sent - before)
        self._unsent.popleft()
        self._backlog -= item.size
        self._unacked.append((seq, item))
        self._heard = time.monotonic()

    def _take(self, message: m.Message) -> None:
        match message:
            case m.Ack():
                while self._unacked and self._unacked[0][0] <= message.seq:
                    item = self._unacked.popleft()[1]
                    self._tally.add(item.volume, done=item.weight)
            case m.Digests():
                self._asked.popleft()
                self._answers.append(message.digests)
            case m.Completed():
                self._completed.append(message.roots)
            case _:
                raise WireError(f"a {type(message).__name__} nobody asked for", "update the agent")
        # Only work done counts: a receiver that welcomes and then dies each time is lost as well.
        self._heard, self._lost_at, self._pause = time.monotonic(), None, _FIRST_PAUSE

    def _lost(self, error: ConnectionLostError) -> None:
        """Everything that is not durable, and every open question, is to be said again."""
        self._hang_up()
        for _, item in reversed(self._unacked):
            self._unsent.appendleft(item)
            self._backlog += item.size
            item.pace = None
        self._unacked.clear()
        self._unasked.extendleft(reversed(self._asked))
        self._asked.clear()
        if self.strict:
            raise error
        now = time.monotonic()
        self._lost_at = now if self._lost_at is None else self._lost_at
        if now - self._lost_at > self._patience:
            self._give_up(error, now - self._lost_at)
        self._pause_a_while()

    def _refused(self, error: ReceiverBusyError) -> None:
        """It is there, and other runs end some time: that is no reason to give up."""
        if self.strict:
            raise ConnectionLostError(error.what, error.advice) from error
        if not self._waits_for_room:
            raise error
        self._lost_at = None
        self._tally.note, self._told = f"{error.what}: the run waits for its turn", True
        self._pause_a_while()

    def _pause_a_while(self) -> None:
        """Longer each time, until the receiver has done something for us."""
        self._gate.pause(self._pause * random.uniform(0.7, 1.0))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _give_up(self, error: ConnectionLostError, seconds: float) -> NoReturn:
        raise ConnectionLostError(
            f"the receiver could not be reached for {seconds:.0f} s ({error.what})",
            "check the network and that the server runs, then start the job again: what is durable stays",
        ) from error

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
