"""The process that thaws whatever the agent froze: at the deadline, when the agent is gone, or on its word.

Arguments: COMMANDS ANSWERS DEADLINE FD... [-- WORD...]: a pipe to read commands from, a pipe for answers,
seconds from the first freeze, a descriptor on each file system, and a command to start when it had to thaw
something or the agent is gone. A command from the agent is two bytes, a letter and the place of a descriptor
in the list:

    F i   the agent is about to freeze it        N i   it could not: whatever is frozen there is not ours
    T 0   thaw everything now and end            D 0   everything is thawed, end

Answers: R (ready), then for T and D the last one: 1 if this process thawed something itself, else 0.

It runs on while everything it could wait for is frozen: in a session of its own, all memory locked, signals
ignored, and nothing is imported after R.
"""

import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from rehost.track.libc import lock_memory

FITHAW = 0xC0045878
_SIGNALS = sorted(set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
AGAIN = 0.1  # seconds between attempts after the deadline: a freeze under way cannot be thawed before it ends


class Watchdog:
    def __init__(
        self,
        commands: int,
        answers: int,
        deadline: float,
        descriptors: Sequence[int],
        afterwards: Sequence[str] = (),
    ) -> None:
        self._commands = commands
        self._answers = answers
        self._deadline = deadline
        self._descriptors = descriptors
        self._afterwards = list(afterwards)
        self._frozen: list[int] = []  # places that the agent announced, in its order
        self._ends: float | None = None  # monotonic time of the deadline, from the first freeze on
        self.fired = False

    def run(self) -> None:
        """Until the agent's last word or its end."""
        poll = select.poll()
        poll.register(self._commands, select.POLLIN)
        os.write(self._answers, b"R")
        while True:
            if not poll.poll(self._patience()):
                self._thaw()
            elif not self._obey(os.read(self._commands, 2)):
                return

    def _patience(self) -> int | None:
        """Milliseconds to wait for a command."""
        if self._ends is None:
            return None
        left = self._ends - time.monotonic()
        return int(max(left, AGAIN) * 1000)

    def _obey(self, command: bytes) -> bool:
        """Whether more commands can come."""
        letter, place = (command[:1], command[1]) if len(command) == 2 else (b"", 0)
        if letter == b"F":
            self._frozen.append(place)
            if self._ends is None:
                self._ends = time.monotonic() + self._deadline
            return True
        if letter == b"N":
            self._frozen.remove(place)
            return True
        if letter != b"D":
            self._thaw()
        if not letter:
            self._start()
        with suppress(OSError):  # the agent is gone, or does not listen any more
            os.write(self._answers, b"1" if self.fired else b"0")
        return False

    def _thaw(self) -> None:
        for place in reversed(self._frozen):
            with suppress(OSError):  # EINVAL: not frozen (any more)
                fcntl.ioctl(self._descriptors[place], FITHAW, 0)
                self.fired = True
        if self.fired:
            self._start()

    def _start(self) -> None:
        """Start the command, once, as an ordinary process."""
        words, self._afterwards = self._afterwards, []
        if words:
            ordinary = os.SCHED_OTHER, os.sched_param(0)
            os.posix_spawn(words[0], words, os.environ, setsigdef=_SIGNALS, scheduler=ordinary)


def main(arguments: Sequence[str]) -> None:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    commands, answers, *descriptors = (int(text) for text in (*arguments[:2], *arguments[3:end]))
    for descriptor in (commands, answers, *descriptors):
        os.set_inheritable(descriptor, False)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # a container may forbid both; the rest still holds
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("-1000")
    lock_memory(whole=True)
    Watchdog(commands, answers, float(arguments[2]), descriptors, arguments[end + 1 :]).run()


if __name__ == "__main__":
    main(sys.argv[1:])
