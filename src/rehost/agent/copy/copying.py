"""One round over all disks of a run: what has to be looked at, the walk, and what is known afterwards."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rehost.agent.copy.checkpoint import Checkpoint, VolumeCheckpoint, volume_checkpoint
from rehost.agent.copy.gate import Gate
from rehost.agent.copy.nodes import is_known
from rehost.agent.copy.sources import Source, Sources
from rehost.agent.copy.spans import View, span_count, spans_touched
from rehost.agent.copy.streams import Streams
from rehost.agent.copy.tally import DiskTally, Tally
from rehost.agent.copy.walk import AHEAD, Pass, Round
from rehost.core import digest
from rehost.core.errors import PatchRefusedError, SourceReadError
from rehost.core.extent import Extents, align, chunk_count, differing, total, union
from rehost.core.extents import MOST
from rehost.core.freezing import FreezeBefore
from rehost.core.round import RoundKind, RoundReport
from rehost.track.mounts import FileSystem, sync
from rehost.track.suspects import Suspects, Suspicion
from rehost.track.used import DiskUse
from rehost.wire.messages import Welcome

log = logging.getLogger(__name__)

_PATCHINGS = 3  # attempts at a round: a chunk whose patch is refused is forgotten, and then sent whole


@dataclass(frozen=True, slots=True)
class Look:
    """What a round has to look at."""

    passes: tuple[Pass, ...]  # in the order of the sources
    uses: Mapping[int, DiskUse]  # by volume
    suspicions: Mapping[int, Suspicion]
    seconds: float  # that it took to find out

    @property
    def partial(self) -> bool:
        """Of every disk it is known what may differ."""
        return all(walked.view.suspects is not None for walked in self.passes)

    @property
    def totals(self) -> dict[int, int]:
        return {walked.view.volume.volume: walked.view.weight for walked in self.passes}


class Copy:
    """Does rounds; between them it knows what the replica's digests are."""

    def __init__(
        self, sources: Sources, streams: Streams, suspects: Suspects, tally: Tally, gate: Gate
    ) -> None:
        self.sources = sources
        self.streams = streams
        self.tally = tally
        self.gate = gate
        self._suspects = suspects
        self._fresh: frozenset[int] = frozenset()  # volumes of which the replica has nothing yet

    def connect(self) -> Welcome:
        """Connect, and learn which volumes are empty; only the first round may rely on that.

        Meanwhile tracking is taken up and file systems write out what they have, which takes about as long.
        """
        with ThreadPoolExecutor(1) as beside:
            connecting = beside.submit(self.streams.connect)
            for source in self.sources:
                self._suspects.prepare(source.number)
            with self.sources.systems() as systems:
                sync(systems)
            welcome = connecting.result()
        self._fresh = frozenset(state.volume for state in welcome.volumes if state.fresh)
        return welcome

    def build_on(self, checkpoint: Checkpoint) -> None:
        """Begin where an earlier run ended, with every disk of which it is known what was written since."""
        for source, volume in zip(self.sources, checkpoint.volumes, strict=True):
            if volume.volume.volume in self._fresh:
                source.basis = "the replica is empty"
            elif volume.bookmark is None:
                source.basis = "writes were not tracked after the run before"
            else:
                source.basis = self._suspects.resume(source.number, volume.bookmark)
            if not source.basis:
                source.nodes, source.use = volume.known_nodes(), volume.known_use()

    def checkpoint(self, job: str, roots: Sequence[str], freeze: FreezeBefore) -> Checkpoint:
        """Where this run ended, once both sides agree on the roots, and what its freeze has shown."""
        return Checkpoint(job, tuple(roots), tuple(map(self._volume_checkpoint, self.sources)), freeze)

    def round(self, kind: RoundKind, number: int) -> RoundReport:
        """A round while the server works. A baseline that has to look at parts only is a delta."""
        for attempt in range(1, _PATCHINGS + 1):
            try:
                return self._round(kind, number)
            except PatchRefusedError as error:
                self.streams.reset()
                if attempt == _PATCHINGS:
                    raise
                log.warning("round %d begins again: %s", number, error.what)
                self.streams.connect()  # so that nothing of the old connections is written any more
        raise AssertionError("there is at least one attempt")

    def _round(self, kind: RoundKind, number: int) -> RoundReport:
        self.sources.check()
        began, before = time.monotonic(), self.tally.whole()
        with self.sources.systems() as systems:
            sync(systems)
            self.sources.flush()
            look = self.look(systems)
        if kind is RoundKind.BASELINE:
            kind = RoundKind.DELTA if look.partial else kind
            self._note_basis(look)
        self.tally.begin(kind, number, look.totals)
        self.walk(look.passes)
        self.streams.drain()
        self.keep(look)
        report = report_of(kind, number, before, self.tally.whole(), time.monotonic() - began)
        report = replace(
            report, looking=look.seconds, answer=self.streams.answer(), syncing=self._sync_again()
        )
        return self._with_what_is_left(report)

    def look(self, systems: Mapping[FileSystem, int], *, retry: bool = True) -> Look:
        """What may differ now. The marks of write tracking come before the maps, and these before reads.

        `retry`: and what could not be read when it was read last.
        """
        began = time.monotonic()
        suspicions = {source.volume.volume: self._suspects.begin(source.number) for source in self.sources}
        with self._explained():
            uses = self.sources.use(systems)
        passes = tuple(
            self._pass(source, uses[source.volume.volume], suspicions[source.volume.volume], retry)
            for source in self.sources
        )
        self._fresh = frozenset()
        return Look(passes, uses, suspicions, time.monotonic() - began)

    def walk(self, passes: Sequence[Pass]) -> None:
        with self._explained():
            self.streams.walk(Round(passes))

    def keep(self, look: Look) -> None:
        """The round is durable as a whole: the next one may build on it."""
        self.walk([walked.learning() for walked in look.passes if not all(map(is_known, walked.nodes))])
        for source, walked in zip(self.sources, look.passes, strict=True):
            source.nodes, source.use = walked.nodes, look.uses[source.volume.volume]
            self._suspects.complete(source.number)

    def distrust(self) -> None:
        """Nothing is taken for known any more: the next round compares every chunk."""
        for source in self.sources:
            source.use = None

    def pending(self, volume: int) -> int | None:
        """Bytes of a disk that were written since the round began; None: nobody knows. From any thread."""
        written = self._suspects.written(self._source(volume).number)
        return None if written is None else total(written)

    def unreadable(self, volume: int) -> int:
        """Bytes that a disk does not give. From any thread."""
        return total(self._source(volume).device.unreadable)

    def _source(self, volume: int) -> Source:
        return next(source for source in self.sources if source.volume.volume == volume)

    def _sync_again(self) -> float:
        """Seconds that file systems take to write out what came up since they had done so, as in a freeze."""
        with self.sources.systems() as systems:
            sync(systems)  # and what they hold back counts as written
            self.sources.flush()
            began = time.monotonic()
            sync(systems)
            return time.monotonic() - began

    def _with_what_is_left(self, report: RoundReport) -> RoundReport:
        """What was written since the round began, the use of disks of which nobody knows, and how many
        questions it takes to compare both."""
        backlog = touched = untracked = places = 0
        for source in self.sources:
            written = self._suspects.written(source.number)
            if written is not None:
                backlog += total(written)
                touched += total(align(written, source.volume.chunk, source.volume.size))
                places += spans_touched(source.volume, written)
            elif source.use is not None:
                untracked += total(source.use.used)
                places += span_count(source.volume)
        trips = chunk_count(places, AHEAD * len(self.streams))
        return replace(report, backlog=backlog, touched=touched, untracked=untracked, trips=trips)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SourceReadError as error:
            raise self.sources.explain(error) from error

    def _note_basis(self, look: Look) -> None:
        for source in self.sources:
            reason = look.suspicions[source.volume.volume].reason
            source.basis = f"{source.basis}: {reason}" if source.basis else reason
            log.info("%s: %s", source.volume.disk_path, source.basis)

    def _volume_checkpoint(self, source: Source) -> VolumeCheckpoint:
        assert source.use is not None, "a pass was kept"
        bookmark = self._suspects.bookmark(source.number)
        return volume_checkpoint(source.volume, source.number, bookmark, source.use, source.nodes)

    def _pass(self, source: Source, use: DiskUse, suspicion: Suspicion, retry: bool) -> Pass:
        volume = source.volume
        suspects = _suspects(suspicion, source.use, use)
        if suspects is not None and retry:
            suspects = union([suspects, source.device.unreadable], MOST)
        view = View(volume, use.used, suspects, fresh=volume.volume in self._fresh)
        return Pass(view, source.device, list(source.nodes))


def roots_of(look: Look) -> tuple[bytes, ...]:
    """The roots that the replica has if it is what was sent."""
    return tuple(digest.root_of_subtrees(walked.nodes, walked.view.volume.size) for walked in look.passes)


def report_of(
    kind: RoundKind, number: int, before: DiskTally, after: DiskTally, seconds: float
) -> RoundReport:
    return RoundReport(
        kind,
        number,
        after.read - before.read,
        after.changed,
        after.sent - before.sent,
        seconds,
        after.content,
        after.reading - before.reading,
        working=after.working - before.working,
    )


def _suspects(suspicion: Suspicion, before: DiskUse | None, now: DiskUse) -> Extents | None:
    """What was written, and where use changed without a write: a freed block has to become zero, and one that
    was reserved and never written has to become what it is."""
    if suspicion.extents is None or before is None:
        return None
    return union([suspicion.extents, differing(before.used, now.used)], MOST)
