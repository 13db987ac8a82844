"""What many say all the time, in few transactions.

What comes alone is written at once. What comes while other is being written, or soon after, is written
together, of each the newest only; who says it waits meanwhile, and so comes as often as there is room for.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import anyio.to_thread

PAUSE = 0.25  # seconds between two transactions
SHARE = 0.1  # of the time is written: all writers of a database take turns, and others want to have some
LONGEST = 5.0  # seconds of a pause: nobody is kept waiting for as long as it waits for an answer

T = TypeVar("T")


class Batches(Generic[T]):
    """`write` keeps what came, by its key; what it answers each hears whose word was among that."""

    def __init__(self, write: Callable[[Mapping[str, T]], frozenset[str]], pause: float = PAUSE) -> None:
        self._write = write
        self._pause = pause
        self._waiting: dict[str, T] = {}
        self._told: asyncio.Future[frozenset[str]] | None = None  # of those that wait now
        self._writer: asyncio.Task[None] | None = None

    async def put(self, key: str, word: T) -> frozenset[str]:
        """Durable when it returns. None stands for nothing new: it takes no other word's place."""
        if word is not None or key not in self._waiting:
            self._waiting[key] = word
        return await asyncio.shield(self._next())

    def _next(self) -> "asyncio.Future[frozenset[str]]":
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
            await asyncio.sleep(pause_after(time.monotonic() - began, self._pause))


def pause_after(seconds: float, least: float) -> float:
    """Until the next transaction, after one that took so long."""
    return max(least, min(seconds * (1 / SHARE - 1), LONGEST))
