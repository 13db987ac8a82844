"""All streams of a run: a thread for each, started before anything is frozen, and what they do together."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from types import TracebackType
from typing import Self

from rehost.agent.copy.bandwidth import Limit
from rehost.agent.copy.gate import AbortedError, Gate
from rehost.agent.copy.walk import Round, Walker
from rehost.wire.messages import Welcome

log = logging.getLogger(__name__)


class Streams:
    """A context manager; leaving hangs up. Only one thread may call its methods."""

    def __init__(self, walkers: Sequence[Walker], limit: Limit, gate: Gate) -> None:
        self._walkers = walkers
        self._limit, self._gate = limit, gate
        self._threads = [_Thread(number) for number in range(len(walkers))]

    def __len__(self) -> int:
        """Those that the receiver has room for."""
        return sum(not walker.idle for walker in self._walkers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()
        for thread in self._threads:
            thread.end()

    def connect(self) -> Welcome:
        """Be connected on all streams, at once; what the first one was told, before anything is sent.

        The first one waits until the receiver has room for it, the others only work if there is room.
        """
        first, *others = self._walkers
        self._together([first.stream.connect, *(walker.join for walker in others)])
        if len(self) < len(self._walkers):
            log.warning("%d of %d streams: the receiver has no room for more", len(self), len(self._walkers))
        welcome = first.stream.welcome
        assert welcome is not None, "it is connected"
        return welcome

    def walk(self, round_: Round) -> None:
        """Look at everything in a round; it is all read then, and durable after `drain`."""

        def of(walker: Walker) -> Callable[[], None]:
            return lambda: walker.walk(round_)

        self._together([of(walker) for walker in self._walkers])

    def drain(self) -> None:
        """Wait until everything that was sent is durable."""
        self._together([walker.stream.drain for walker in self._walkers])

    def answer(self) -> float:
        """Seconds until the receiver has answered each stream a question; everything has to be durable."""
        began = time.monotonic()
        self._together([walker.answer for walker in self._walkers])
        return time.monotonic() - began

    def complete(self) -> tuple[bytes, ...]:
        """The replica's roots in the ticket's order; everything has to be durable. Hangs up."""
        self.drain()
        for walker in self._walkers[1:]:
            walker.stream.reset()
        return self._walkers[0].stream.complete()

    def reset(self) -> None:
        """Forget what is not durable, and hang up: the next call connects again."""
        for walker in self._walkers:
            walker.stream.reset()
        self._gate.reopen()

    def set_strict(self, strict: bool) -> None:
        """Inside a freeze: no reconnecting, no waiting for the bandwidth limit."""
        self._limit.lifted = strict
        for walker in self._walkers:
            walker.stream.strict = strict

    def _together(self, calls: Sequence[Callable[[], object]]) -> None:
        """Each thread its call; the first error ends them all and is raised when none is at work any more."""
        futures = [thread.submit(call) for thread, call in zip(self._threads, calls, strict=True)]
        if any(future.exception() for future in wait(futures, return_when=FIRST_EXCEPTION).done):
            self._gate.abort()
        errors = [error for future in futures if (error := future.exception())]
        self._raise_first(errors)

    def _raise_first(self, errors: Sequence[BaseException]) -> None:
        causes = [error for error in errors if not isinstance(error, AbortedError)]
        for error in causes or errors:
            raise error


class _Thread:
    """A daemon that does one call after the other, so that a hanging disk cannot hold the process' end up."""

    def __init__(self, number: int) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], object], Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=f"stream-{number}", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], object]) -> "Future[None]":
        future: Future[None] = Future()
        self._jobs.put((call, future))
        return future

    def end(self) -> None:
        self._jobs.put(None)

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
            else:
                future.set_result(None)
            del job, call, future  # an idle thread must not keep what it did alive
