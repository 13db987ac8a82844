"""Carries out an assignment: rounds until the replica equals the source's frozen disks."""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rehost.agent.config import Config
from rehost.agent.consistency import consistency_of
from rehost.agent.copy import checkpoint
from rehost.agent.copy.bandwidth import Limit
from rehost.agent.copy.checkpoint import Checkpoint
from rehost.agent.copy.copying import Copy
from rehost.agent.copy.final import Final, FreezePlan, final_round
from rehost.agent.copy.gate import Gate
from rehost.agent.copy.sender import OUTSTANDING, Stream
from rehost.agent.copy.sources import Doors, OpenDevice, open_sources
from rehost.agent.copy.streams import Streams
from rehost.agent.copy.tally import Tally
from rehost.agent.copy.walk import Walker
from rehost.agent.hooks import Hooks, Place
from rehost.agent.progress import Reporting
from rehost.block.crashpoint import reach
from rehost.block.device import Device
from rehost.block.file import open_source
from rehost.core.agentapi import Assignment, Phase, Progress, RunReport
from rehost.core.extent import total
from rehost.core.freezing import FreezeBefore
from rehost.core.round import RoundKind, RoundLimits, RoundReport, Step, beyond_target, next_round
from rehost.core.server import Inventory
from rehost.track.freeze import LAUNCHER
from rehost.track.suspects import Suspects
from rehost.track.tracked import Tracked
from rehost.wire.messages import MAX_STREAMS, VERSION, Hello
from rehost.wire.payload import Packer
from rehost.wire.tls import connect

log = logging.getLogger(__name__)

_NO_CONFIG = Config()
_CONNECTING = 15.0  # seconds for one attempt to reach the receiver


def _open(path: Path) -> Device:
    return open_source(path)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Settings:
    """What an assignment does not say."""

    patience: float = 600.0  # seconds to try to reach the receiver until the run fails
    freeze_attempts: int = 3
    config: Config = _NO_CONFIG
    hooks: Place | None = None
    launcher: tuple[str, ...] = LAUNCHER  # the command that runs `track.watchdog`
    open_device: OpenDevice = _open
    present: Callable[[], Collection[str]] | None = None  # see `sources.Doors`
    suspects: Callable[[], Suspects] = Tracked
    state: Path | None = None  # folder in which a checkpoint is kept for the next run; None: nothing is
    while_frozen: Callable[[], None] = _nothing  # for tests: all is read, nothing is thawed


def carry_out(
    assignment: Assignment,
    inventory: Inventory,
    context: ssl.SSLContext,
    progress: Callable[[Progress], None],
    stop: threading.Event,
    settings: Settings = Settings(),
) -> RunReport:
    """Copy the assignment's disks to its receiver; the report once both sides agree on every chunk.

    `context` trusts the receiver's certificate. `progress` gets figures about once a second from a thread of
    its own; it must return soon and not raise. Errors: RunStoppedError soon after `stop` is set,
    SourceDiskChangedError, SourceReadError, FreezeError, ConnectionLostError when the receiver stays away,
    TicketError, and whatever the receiver reports. All frozen file systems are thawed in every case.
    """
    asked = assignment.options
    options = settings.config.applied(asked)
    assignment = replace(assignment, options=options)
    tally, gate = Tally(volume.volume for volume in assignment.volumes), Gate(stop)
    limit = Limit(options.bandwidth_limit, options.bandwidth_schedule)
    walkers = [
        _walker(assignment, number, context, limit, tally, gate, settings.patience)
        for number in range(min(max(options.streams, 1), MAX_STREAMS))
    ]
    doors = Doors(settings.open_device, settings.present)
    with (
        open_sources(assignment, inventory, doors, gate.check) as sources,
        Streams(walkers, limit, gate) as streams,
        _suspects(settings) as suspects,
    ):
        copy = Copy(sources, streams, suspects, tally, gate)
        with Reporting(assignment.run, assignment.generation, tally, copy, progress):
            hooks = Hooks(settings.hooks, assignment, gate.check)
            report = _Run(assignment, copy, settings, hooks).carry_out()
    return replace(report, limits=tuple(settings.config.said(asked)))


@dataclass(slots=True)
class _Run:
    assignment: Assignment
    copy: Copy
    settings: Settings
    hooks: Hooks
    started: float = field(default_factory=time.time)
    done: list[RoundReport] = field(default_factory=list)

    def carry_out(self) -> RunReport:
        window = self.copy.connect().window
        limits = self._limits(window, self._build_on_the_last_run().freeze)
        while (step := next_round(self.done, limits)).kind is not RoundKind.FINAL:
            self.copy.tally.phase = Phase.COPYING
            self.done.append(self.copy.round(step.kind, len(self.done) + 1))
            self._note(beyond_target(self.done, limits))
        log.info("run %s: the last round begins: %s", self.assignment.run, step.reason)
        final = self._final()
        report = self._report(final, step)
        if not report.unreadable:  # else the next run has to try these sectors again
            self._save(self.copy.checkpoint(self.assignment.job, report.roots, final.shown))
            reach("agent.checkpoint_saved")
        return report

    def _note(self, note: str) -> None:
        """Something that people should know before the freeze."""
        if note and not self.copy.tally.note:
            log.warning("run %s: %s", self.assignment.run, note)
        self.copy.tally.note = note

    def _limits(self, window: int, before: FreezeBefore) -> RoundLimits:
        options = self.assignment.options
        return RoundLimits(
            options.freeze_target,
            options.freeze_deadline,
            options.most_rounds,
            options.not_converging,
            buffered=min(window * options.streams, OUTSTANDING),
            before=before,
        )

    def _build_on_the_last_run(self) -> Checkpoint:
        """What is known of it."""
        job, sources = self.assignment.job, self.copy.sources
        known = checkpoint.load(self.settings.state) if self.settings.state else None
        if known is None or known.job != job:
            known = checkpoint.begun(job, ((source.volume, source.number) for source in sources))
            self._save(known)
            reach("agent.checkpoint_begun")
        if why := known.objection(self.assignment):
            for source in sources:
                source.basis = why
        else:
            self.copy.build_on(known)
        return known

    def _save(self, kept: Checkpoint) -> None:
        if self.settings.state is None:
            return
        try:
            checkpoint.save(self.settings.state, kept)
        except OSError as error:
            log.warning(
                "the checkpoint of run %s cannot be kept in %s (%s): the next run compares digests. Make room"
                " there.",
                self.assignment.run,
                self.settings.state,
                error.strerror,
            )

    def _final(self) -> Final:
        plan = FreezePlan(
            self.assignment.options.freeze_deadline,
            self.hooks,
            self.settings.freeze_attempts,
            self.settings.launcher,
            self.settings.while_frozen,
        )
        return final_round(self.copy, plan, len(self.done) + 1)

    def _report(self, final: Final, step: Step) -> RunReport:
        whole = self.copy.tally.whole()
        return RunReport(
            roots=tuple(root.hex() for root in final.roots),
            rounds=(*self.done, final.report),
            read=whole.read,
            sent=whole.sent,
            used=sum(total(use.used) for use in final.look.uses.values()),
            freeze_seconds=final.seconds,
            held_seconds=final.held,
            started=self.started,
            ended=time.time(),
            consistency=tuple(consistency_of(self.copy.sources, final)),
            basis=tuple(f"{source.volume.disk_path}: {source.basis}" for source in self.copy.sources),
            freeze_reason=step.reason,
            freeze_expected=step.seconds,
            looked_seconds=final.look.seconds,
            hooks=tuple(self.hooks.reports),
            unreadable=tuple(extent for source in self.copy.sources for extent in source.unreadable()),
        )


@contextmanager
def _suspects(settings: Settings) -> Iterator[Suspects]:
    """As long as there is a checkpoint, what it builds on goes on, however this run ends."""
    suspects = settings.suspects()
    try:
        yield suspects
    finally:
        if settings.state is not None and checkpoint.exists(settings.state):
            suspects.leave()
        else:
            suspects.close()


def _walker(
    assignment: Assignment,
    number: int,
    context: ssl.SSLContext,
    limit: Limit,
    tally: Tally,
    gate: Gate,
    patience: float,
) -> Walker:
    def dial() -> ssl.SSLSocket:
        return connect(assignment.receiver_host, assignment.receiver_port, context, _CONNECTING)

    hello = Hello(VERSION, assignment.ticket, number)
    share = OUTSTANDING // max(assignment.options.streams, 1)
    stream = Stream(hello, dial, limit, tally, gate, patience, share)
    return Walker(stream, Packer(assignment.options.compress_level), tally, gate)
