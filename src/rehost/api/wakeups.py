"""Long polls of agents: who waits for a change of which source server's assignment.

Changes, of this process and of others, are found by one ticker, which asks the database for the versions of
all waiting sources together.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import anyio.to_thread

TICK = 0.5  # seconds; a change is delivered within 2, with ten thousand agents too

Versions = Callable[[Sequence[str]], Mapping[str, int]]


class Waiter:
    """One long poll."""

    def __init__(self, source_id: str, version: int) -> None:
        self.source_id = source_id
        self.version = version
        self.told = False  # that there may be another version
        self._changed = asyncio.Event()
        self._error: BaseException | None = None

    def notify(self, error: BaseException | None = None) -> None:
        self.told, self._error = True, error
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Until something may have changed, or the time is over; raises what the ticker met."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()
        if self._error is not None:
            raise self._error


class Wakeups:
    """`versions` answers the assignment versions of source servers; those that are gone are left out."""

    def __init__(self, versions: Versions, tick: float = TICK) -> None:
        self._versions = versions
        self._tick = tick
        self._waiting: dict[str, set[Waiter]] = {}
        self._ticker: asyncio.Task[None] | None = None
        self.closed = False

    @contextmanager
    def waiting(self, source_id: str, version: int) -> Iterator[Waiter]:
        """Be told of changes while the block runs; enter it before the first look, so that none is missed."""
        waiter = Waiter(source_id, version)
        self._waiting.setdefault(source_id, set()).add(waiter)
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.get_running_loop().create_task(self._run())
        try:
            yield waiter
        finally:
            self._waiting[source_id].discard(waiter)
            if not self._waiting[source_id]:
                del self._waiting[source_id]

    def close(self) -> None:
        """Let all polls answer now: the server is about to end. From the loop's thread."""
        self.closed = True
        for source_id in list(self._waiting):
            self._notify(source_id)

    def _notify(self, source_id: str, error: BaseException | None = None) -> None:
        for waiter in self._waiting.get(source_id, ()):
            waiter.notify(error)

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._tick)
            ids = tuple(self._waiting)
            try:
                now = await anyio.to_thread.run_sync(self._versions, ids)
            except Exception as error:  # noqa: BLE001  the polls raise it, each to its agent
                for source_id in ids:
                    self._notify(source_id, error)
                continue
            for source_id in ids:
                for waiter in self._waiting.get(source_id, ()):
                    if now.get(source_id) != waiter.version:
                        waiter.notify()
