"""One stream's walk over the spans of a round: read, digest, compare with the journal, send what differs."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from rehost.agent.copy import nodes
from rehost.agent.copy.gate import Gate
from rehost.agent.copy.reader import BATCH, ChunkReader
from rehost.agent.copy.sender import Item, Stream
from rehost.agent.copy.spans import Span, View, neighbours, spans, work_of
from rehost.agent.copy.tally import Tally
from rehost.block.device import Device
from rehost.core import digest, pages
from rehost.core.extent import Extent, intersect, total
from rehost.wire.messages import DigestsRequest
from rehost.wire.payload import Packer

AHEAD = 16  # spans that are asked for together at most
_TOGETHER = 4 << 20  # bytes to look at, from which on spans are not taken together


@dataclass(slots=True)
class Pass:
    """One disk in one round."""

    view: View
    device: Device
    nodes: list[bytes]  # each span's subtree of the replica's digests, see `agent.nodes`
    watched: Sequence[Extent] = ()  # where a change means that the disk does not hold still
    restless: bool = False  # something changed there

    def learning(self) -> "Pass":
        """A pass that only asks for the digests of spans in which chunks were patched."""
        view = replace(self.view, suspects=(), fresh=False)
        return Pass(view, self.device, self.nodes)


@dataclass(frozen=True, slots=True)
class _Turn:
    walked: Pass
    span: Span

    @property
    def weight(self) -> int:
        """Bytes that may have to be looked at."""
        window, suspects = self.span.window(self.walked.view), self.walked.view.suspects
        return len(window) if suspects is None else total(intersect(suspects, window))


class Round:
    """The spans of all passes, handed out a few at a time to whichever stream comes next."""

    def __init__(self, passes: Sequence[Pass]) -> None:
        self.passes = passes
        self._turns = self._all()
        self._lock = threading.Lock()

    def take(self) -> list[_Turn]:
        """The next spans, several if they are little work, so that one way to the receiver and back is enough
        for them; empty when none is left."""
        taken, weight = list[_Turn](), 0
        with self._lock:
            while len(taken) < AHEAD and weight < _TOGETHER and (turn := next(self._turns, None)):
                taken.append(turn)
                weight += turn.weight
        return taken

    def _all(self) -> Iterator[_Turn]:
        for walked in self.passes:
            for span in spans(walked.view, walked.nodes):
                yield _Turn(walked, span)


@dataclass(slots=True)
class Walker:
    stream: Stream
    packer: Packer
    tally: Tally
    gate: Gate
    reader: ChunkReader = field(default_factory=ChunkReader)
    idle: bool = False  # the receiver has no room for this stream: the others do its work

    def walk(self, round_: Round) -> None:
        """Until no span is left. Digests of the next spans are asked for before these are read, so that the
        way to the receiver and back costs no time."""
        following = [] if self.idle else self._next(round_)
        while following:
            turns, following = following, self._next(round_)
            for turn in turns:
                self._span(turn)

    def join(self) -> None:
        """Be connected if the receiver has room for this stream."""
        self.idle = not self.stream.join()

    def answer(self) -> None:
        """Ask the receiver something and wait for the answer."""
        if self.idle:
            return
        self.stream.ask(DigestsRequest(self.tally.volumes[0], 0, 1))
        self.stream.answer()

    def _next(self, round_: Round) -> list[_Turn]:
        turns = round_.take()
        for turn in turns:
            volume = turn.walked.view.volume.volume
            if not turn.walked.view.fresh:
                self.stream.ask(DigestsRequest(volume, turn.span.first, turn.span.count))
        return turns

    def _span(self, turn: _Turn) -> None:
        view, span, began = turn.walked.view, turn.span, time.thread_time()
        found = digest.ABSENT * span.count if view.fresh else self.stream.answer()
        journal = digest.split(found)
        nodes.check(turn.walked.nodes[span.number], journal)
        work = work_of(view, span, journal, BATCH, turn.walked.watched)
        visit = _Visit(self, turn, journal)
        for chunks in work.reads:
            self.gate.check()
            visit.read(chunks)
        for chunk, part in work.patches:
            self.gate.check()
            visit.patch(chunk, part)
        for chunk in work.empty:
            visit.compare(chunk, digest.of_zeroes(view.length(chunk)), None)
        visit.send_zeroes()
        turn.walked.nodes[span.number] = visit.node()
        self.tally.add(view.volume.volume, working=time.thread_time() - began)


class _Visit:
    """One span being looked at."""

    def __init__(self, walker: Walker, turn: _Turn, journal: Sequence[bytes]) -> None:
        self._walker = walker
        self._pass, self._view, self._first = turn.walked, turn.walked.view, turn.span.first
        self._volume = self._view.volume.volume
        self._zeroes: list[int] = []  # chunks that become zero
        self._patched: list[int] = []  # chunks, from the span's beginning
        self.digests = list(journal)  # what the replica will have, but for these

    def read(self, chunks: range) -> None:
        size = self._view.volume.chunk
        window = Extent(self._view.extent(chunks[0]).start, self._view.extent(chunks[-1]).end)
        content = self._read(window, self._view.used)
        for place, chunk in enumerate(chunks):
            part = content[place * size : (place + 1) * size]
            self.compare(chunk, digest.of(part), part)

    def compare(self, chunk: int, found: bytes, content: memoryview | None) -> None:
        """`content` may be None for a chunk of zeroes."""
        window = self._view.extent(chunk)
        if self.digests[chunk - self._first] == found:
            self._walker.tally.add(self._volume, done=self._view.weigh(window))
            return
        self.digests[chunk - self._first] = found
        self._walker.tally.add(self._volume, changed=len(window))
        if self._pass.watched and intersect(self._pass.watched, window):
            self._pass.restless = True
        if content is None or found == digest.of_zeroes(len(window)):
            self._zeroes.append(chunk)
        else:
            self._send(chunk, found, content)

    def patch(self, chunk: int, part: int) -> None:
        """Send these pages of a chunk, without a look at whether they differ."""
        window = self._view.extent(chunk)
        wanted = [
            Extent(window.start + piece.start, window.start + piece.end)
            for piece in pages.parts(part, len(window))
        ]
        used = [extent for piece in wanted for extent in intersect(self._view.used, piece)]
        whole = self._read(window, used)
        content = b"".join(whole[piece.start - window.start : piece.end - window.start] for piece in wanted)
        self._patched.append(chunk - self._first)
        self._walker.tally.add(self._volume, changed=len(content))
        self._send(chunk, digest.of(content), content, part)

    def node(self) -> bytes:
        """What is known of the span now: of a patched chunk only the receiver knows the digest."""
        if self._patched:
            return nodes.patched(self.digests, self._patched)
        return digest.subtree(b"".join(self.digests))

    def _read(self, window: Extent, used: Sequence[Extent]) -> memoryview:
        began = time.monotonic()
        content, count = self._walker.reader.read(self._pass.device, window, used)
        self._walker.tally.add(self._volume, read=count, reading=time.monotonic() - began)
        return content

    def _send(self, chunk: int, found: bytes, content: bytes | memoryview, part: int = 0) -> None:
        """`part`: the pages that the content is; 0: all of the chunk."""
        encoding, payload = self._walker.packer.pack(content, self._walker.stream.link_speed)
        self._walker.tally.add(self._volume, content=len(content))
        weight = self._view.weigh(self._view.extent(chunk))
        # bytes: the content is lent, and the stream keeps what it sends until that is durable
        self._walker.stream.put(
            Item(self._volume, chunk, 1, len(content), weight, found, encoding, bytes(payload), part)
        )

    def send_zeroes(self) -> None:
        for run in neighbours(sorted(self._zeroes), digest.SPAN):
            window = Extent(self._view.extent(run[0]).start, self._view.extent(run[-1]).end)
            self._walker.stream.put(
                Item(self._volume, run[0], len(run), len(window), self._view.weigh(window))
            )
