"""Freezes file systems together, and thaws them, whatever happens in between."""

import errno
import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from rehost.core.errors import FreezeError
from rehost.track.libc import lock_memory, unlock_memory
from rehost.track.mounts import FileSystem
from rehost.track.watchdog import FITHAW

FIFREEZE = 0xC0045877
LAUNCHER = (sys.executable, "-m", "rehost.track.watchdog")
_READY = 60.0  # seconds that the watchdog may take to start (emulated machines are slow)
_ANSWER = 5.0  # seconds that it may take to answer the last word


class Freezer:
    """One freeze of some file systems under one watchdog.

    A context manager: entering starts the watchdog (nothing is frozen yet), leaving thaws what still is.
    Between `freeze` and `thaw` nothing may be logged, written to a file or imported.
    """

    def __init__(
        self,
        systems: Mapping[FileSystem, int],
        deadline: float,
        launcher: Sequence[str] = LAUNCHER,
        afterwards: Sequence[str] = (),
    ) -> None:
        """`systems`, deepest mount first, with a descriptor on each; `deadline` in seconds from the first
        freeze; `launcher` is the command that runs `track.watchdog`, which appends its arguments;
        `afterwards` is the command that the watchdog starts if it thaws, or if this process is gone."""
        self._systems = tuple(systems)
        self._descriptors = tuple(systems.values())
        self._deadline = deadline
        self._launcher = launcher
        self._afterwards = ("--", *afterwards) if afterwards else ()
        self._frozen: list[int] = []  # places in the tuples, in the order of freezing
        self._began = self._complete = 0.0  # when the first and the last was frozen
        self._locked = False
        self._bytecode = sys.dont_write_bytecode
        self.unfreezable: frozenset[FileSystem] = frozenset()  # known after `freeze`
        self.seconds = 0.0  # from the first freeze to the last thaw
        self.held = 0.0  # seconds for which all of them stood still together: every write waited so long

    def __enter__(self) -> Self:
        inner_commands, self._commands = os.pipe()
        self._answers, inner_answers = os.pipe()
        try:
            self.process = self._launch(inner_commands, inner_answers)
        except OSError as error:
            os.close(self._commands)
            os.close(self._answers)
            raise self._no_watchdog(error.strerror) from error
        finally:
            os.close(inner_commands)
            os.close(inner_answers)
        if self._answer(_READY) != b"R":
            self._end()
            raise self._no_watchdog(f"exit code {self.process.returncode}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Thaws what `thaw` has not; an error on the way is the caller's already."""
        if self._frozen:
            with suppress(FreezeError):
                self.thaw()
        elif self.process.poll() is None:
            self._word(b"D")  # nothing is frozen, and this process lives
        self._unlock()
        self._end()

    def freeze(self) -> None:
        """All of them or none; those that cannot freeze at all are in `unfreezable` afterwards."""
        self._lock()
        self._began = time.monotonic()
        for place in range(len(self._systems)):
            self._freeze_one(place)
        self._complete = time.monotonic()

    def thaw(self) -> None:
        """In reverse order; FreezeError if someone else thawed any of them, and then the round is void."""
        self.held = time.monotonic() - self._complete
        torn = [place for place in reversed(self._frozen) if not self._thaw_one(place)]
        self.seconds = time.monotonic() - self._began
        self._frozen = []
        self._unlock()
        fired = self._word(b"D") == b"1"
        if torn or fired:
            raise FreezeError(*self._why_torn(torn, fired))

    def _launch(self, commands: int, answers: int) -> "subprocess.Popen[bytes]":
        arguments = (commands, answers, self._deadline, *self._descriptors, *self._afterwards)
        return subprocess.Popen(
            [*self._launcher, *map(str, arguments)],
            pass_fds=(commands, answers, *self._descriptors),
            start_new_session=True,  # what is sent to the agent's session or terminal is not for it
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _no_watchdog(self, why: str | None) -> FreezeError:
        return FreezeError(
            f"the watchdog did not start: {' '.join(self._launcher)}: {why}",
            "nothing is frozen without it: run that command by hand to see why it ends",
        )

    def _lock(self) -> None:
        """No page may go out, and no other thread's import may write its bytecode, into what is frozen."""
        try:
            lock_memory(whole=False)
        except OSError as error:
            raise FreezeError(
                f"memory cannot be locked: {error.strerror}",
                "run the agent as root, without a limit on locked memory",
            ) from error
        self._locked, sys.dont_write_bytecode = True, True

    def _unlock(self) -> None:
        if self._locked:
            self._locked, sys.dont_write_bytecode = False, self._bytecode
            unlock_memory()

    def _freeze_one(self, place: int) -> None:
        self._command(b"F", place)
        try:
            fcntl.ioctl(self._descriptors[place], FIFREEZE, 0)
        except OSError as error:
            self._command(b"N", place)
            if error.errno != errno.EOPNOTSUPP:
                raise self._refused(self._systems[place], error) from error
            self.unfreezable |= {self._systems[place]}
        else:
            self._frozen.append(place)

    def _thaw_one(self, place: int) -> bool:
        """Whether it was still frozen."""
        try:
            fcntl.ioctl(self._descriptors[place], FITHAW, 0)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise FreezeError(
                f"{self._systems[place].points[0]} cannot be thawed: {error.strerror}",
                f"thaw it by hand: fsfreeze --unfreeze {self._systems[place].points[0]}",
            ) from error
        return True

    def _command(self, letter: bytes, place: int) -> None:
        try:
            os.write(self._commands, letter + bytes([place]))
        except BrokenPipeError as error:
            raise FreezeError(
                "the watchdog ended before the freeze", "nothing is frozen without it: start the job again"
            ) from error

    def _word(self, letter: bytes) -> bytes:
        """The watchdog's answer to a last word; empty if it is gone, which is no harm once all is thawed."""
        try:
            os.write(self._commands, letter + b"\0")
        except BrokenPipeError:
            return b""
        return self._answer(_ANSWER)

    def _answer(self, timeout: float) -> bytes:
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        return os.read(self._answers, 1) if poll.poll(int(timeout * 1000)) else b""

    def _end(self) -> None:
        """Close the pipes, at which the watchdog thaws what it knows of and ends."""
        os.close(self._commands)
        os.close(self._answers)
        with suppress(subprocess.TimeoutExpired):  # a thaw that hangs is never to be killed
            self.process.wait(_ANSWER)

    def _why_torn(self, torn: Sequence[int], fired: bool) -> tuple[str, str]:
        names = ", ".join(self._systems[place].points[0] for place in torn) or "a file system"
        who = "the watchdog" if fired else "another program"
        advice = "raise the job's freeze deadline, or move load away from the source for the last round"
        if not fired:
            advice = "let nothing else (fsfreeze, a snapshot tool) freeze or thaw while the job runs"
        return f"{names} was thawed by {who} after {self.seconds:.1f} s", advice

    def _refused(self, system: FileSystem, error: OSError) -> FreezeError:
        if error.errno == errno.EBUSY:
            return FreezeError(
                f"{system.points[0]} is frozen already, by another program",
                f"wait for it, or thaw it: fsfreeze --unfreeze {system.points[0]}",
            )
        return FreezeError(
            f"{system.points[0]} ({system.kind}) cannot be frozen: {error.strerror}",
            "look at the kernel's log (dmesg) for errors of this file system",
        )
