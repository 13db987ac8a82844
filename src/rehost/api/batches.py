"""What many say or ask all the time, in few transactions.

What comes alone is taken at once. What comes while other is being taken, or soon after, is taken together, of
each key the newest only; who says it waits meanwhile, and so comes as often as there is room for.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

import anyio.to_thread

PAUSE = 0.25  # seconds between two transactions
SHARE = 0.1  # of the time is for them: all writers of a database take turns, and others want to have some
SOON, HALF = 0.02, 0.5  # the same two, of those that hardly ever write: they take no turns
LONGEST = 3.0  # seconds of a pause: an agent waits 15 for its answer

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
A = TypeVar("A")
Write = Callable[[Mapping[K, T]], A]


class Batches(Generic[K, T, A]):
    """`write` takes what came, by its key; what it answers each hears whose word was among that."""

    def __init__(self, write: Write[K, T, A], pause: float = PAUSE, share: float = SHARE) -> None:
        self._write = write
        self._least, self._share = pause, share
        self.pause = pause  # seconds, before the next transaction
        self._waiting: dict[K, T] = {}
        self._told: asyncio.Future[A] | None = None  # of those that wait now
        self._writer: asyncio.Task[None] | None = None

    async def put(self, key: K, word: T) -> A:
        """Done when it returns. None stands for nothing new: it takes no other word's place."""
        if word is not None or key not in self._waiting:
            self._waiting[key] = word
        return await asyncio.shield(self._next())

    def _next(self) -> "asyncio.Future[A]":
        loop = asyncio.get_running_loop()
        if self._told is None:
            self._told = loop.create_future()
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._run())
        return self._told

    async def _run(self) -> None:
        while self._told is not None:
            told, words = self._told, self._waiting
            self._told, self._waiting = None, {}
            began = time.monotonic()
            try:
                told.set_result(await anyio.to_thread.run_sync(self._write, words))
            except Exception as error:  # noqa: BLE001  each is told, and comes again
                told.set_exception(error)
                told.exception()  # somebody has seen it, also if all have gone meanwhile
            self.pause = pause_after(time.monotonic() - began, self._least, self._share)
            await asyncio.sleep(self.pause)


def pause_after(seconds: float, least: float, share: float) -> float:
    """Until the next transaction, after one that took so long."""
    return max(least, min(seconds * (1 / share - 1), LONGEST))
