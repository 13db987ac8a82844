"""The last round: everything that can freeze is frozen, and what is read then is what the image will be."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rehost.agent.copy.copying import Copy, Look, report_of, roots_of
from rehost.agent.hooks import Hooks
from rehost.core.agentapi import Phase
from rehost.core.errors import (
    ConnectionLostError,
    DigestMismatchError,
    FreezeError,
    PatchRefusedError,
    ReplicaIncompleteError,
)
from rehost.core.extent import Extent, merge
from rehost.core.freezing import FreezeBefore
from rehost.core.round import RoundKind, RoundReport
from rehost.track.freeze import LAUNCHER, Freezer
from rehost.track.mounts import FileSystem, sync

_SETTLING = 5  # more passes over what cannot freeze, until two of them agree


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class FreezePlan:
    deadline: float  # seconds
    hooks: Hooks
    attempts: int = 3
    launcher: Sequence[str] = LAUNCHER  # the command that runs the watchdog
    while_frozen: Callable[[], None] = _nothing  # called when all is read, before the thaw; for tests


@dataclass(frozen=True, slots=True)
class Final:
    """What the last round found."""

    report: RoundReport
    look: Look
    roots: tuple[bytes, ...]  # the same on both sides
    seconds: float  # of the freeze
    held: float  # seconds of it for which all file systems stood still together
    unfreezable: frozenset[FileSystem]
    settled: bool  # two passes over what cannot freeze agreed
    lead: float  # seconds until all was ready for the freeze

    @property
    def shown(self) -> FreezeBefore:
        """For the job's next run."""
        return FreezeBefore(self.seconds - self.held, self.lead)


def final_round(copy: Copy, plan: FreezePlan, number: int) -> Final:
    """Freeze, read, thaw, complete; again if that is in vain, `plan.attempts` times at most.

    A connection that breaks inside the freeze and a thaw by anyone else void the attempt. What it sent does
    no harm: the next one compares it like all else. The same goes for a replica that turns out different.
    """
    for attempt in range(1, plan.attempts + 1):
        copy.streams.connect()
        copy.sources.check()
        try:
            return _attempt(copy, plan, number)
        except (FreezeError, DigestMismatchError, PatchRefusedError, ReplicaIncompleteError) as error:
            copy.streams.reset()
            if not isinstance(error, FreezeError | PatchRefusedError):
                copy.distrust()
            if attempt == plan.attempts:
                what = f"{error.what} (attempt {attempt} of {plan.attempts})"
                raise type(error)(what, error.advice) from error
    raise AssertionError("a plan has at least one attempt")


def _attempt(copy: Copy, plan: FreezePlan, number: int) -> Final:
    copy.tally.phase = Phase.FREEZING
    began, before = time.monotonic(), copy.tally.whole()
    # On leaving, all is thawed and the watchdog gone before what follows a thaw is run.
    with (
        copy.sources.systems() as systems,
        plan.hooks as hooks,
        Freezer(systems, plan.deadline, plan.launcher, hooks.afterwards) as freezer,
    ):
        hooks.before()
        sync(systems)  # so that the freeze itself has little left to write
        copy.sources.flush()
        lead = time.monotonic() - began
        look, settled = _frozen(copy, plan, number, systems, freezer)
    copy.tally.phase = Phase.COMPLETING
    copy.streams.drain()
    copy.keep(look)
    report = report_of(RoundKind.FINAL, number, before, copy.tally.whole(), time.monotonic() - began)
    roots = _complete(copy, look)
    return Final(report, look, roots, freezer.seconds, freezer.held, freezer.unfreezable, settled, lead)


def _frozen(
    copy: Copy, plan: FreezePlan, number: int, systems: Mapping[FileSystem, int], freezer: Freezer
) -> tuple[Look, bool]:
    """From freeze to thaw. Nothing in here may wait for anything that a frozen file system holds up."""
    copy.streams.set_strict(True)
    copy.gate.freeze(plan.deadline)
    began = time.monotonic()
    try:
        freezer.freeze()
        _check_mounts(copy, systems)
        look = copy.look(systems, retry=False)  # a failing disk takes seconds for each retry
        _watch(copy, look, freezer.unfreezable)
        copy.tally.begin(RoundKind.FINAL, number, look.totals)
        copy.walk(look.passes)
        # Another pass takes no longer than the first one: begun by then, it ends before the deadline.
        until = began + plan.deadline / 2
        settled = _settle(copy, look, {system: systems[system] for system in freezer.unfreezable}, until)
        plan.while_frozen()
        freezer.thaw()
    except ConnectionLostError as error:
        raise FreezeError(
            f"the connection was lost inside the freeze: {error.what}", "check the network to the receiver"
        ) from error
    finally:
        copy.streams.set_strict(False)
        copy.gate.reopen()
    return look, settled


def _check_mounts(copy: Copy, systems: Mapping[FileSystem, int]) -> None:
    if {system.device for system in copy.sources.mounted()} != {system.device for system in systems}:
        raise FreezeError(
            "a file system was mounted or unmounted just before the freeze",
            "leave the mounts of the source as they are for the last round",
        )


def _watch(copy: Copy, look: Look, unfreezable: frozenset[FileSystem]) -> None:
    """Notice changes where something is in use that does not hold still."""
    for source, walked in zip(copy.sources, look.passes, strict=True):
        walked.watched = merge(
            Extent(use.partition.start, use.partition.end)
            for use in look.uses[source.volume.volume].partitions
            if use.held or unfreezable.intersection(use.systems)
        )


def _settle(copy: Copy, look: Look, unfreezable: Mapping[FileSystem, int], until: float) -> bool:
    """Read what cannot freeze again until nothing changes; False if it does not hold still in time.

    Inside the freeze, as chunks at its edges hold parts of frozen partitions too.
    """
    for _ in range(_SETTLING):
        moving = [walked for walked in look.passes if walked.restless]
        if not moving or time.monotonic() > until:
            break
        copy.streams.drain()  # the journal is to know the pass before
        sync(unfreezable)
        for walked in moving:
            walked.view = replace(walked.view, suspects=walked.watched, fresh=False)
            walked.restless = False
        copy.walk(moving)
    return not any(walked.restless for walked in look.passes)


def _complete(copy: Copy, look: Look) -> tuple[bytes, ...]:
    """The roots that both sides agree on."""
    expected, found = roots_of(look), copy.streams.complete()
    if found != expected:
        raise DigestMismatchError(
            "the replica is not what was sent, though every chunk was acknowledged",
            "start the job again: what differs is copied; if it repeats, test the memory of both hosts",
        )
    return found
