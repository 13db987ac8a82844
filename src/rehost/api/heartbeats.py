"""Heartbeats of many agents in few transactions.

A heartbeat that comes alone is written at once. Those that come while others are being written, or soon
after, are written together. One that says the same as the one before changes the time only.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping

import anyio.to_thread

from rehost.core.agentapi import Heartbeat

PAUSE = 0.25  # seconds between two transactions
FORGET = 300.0  # seconds until all is written again, whatever is thought to be there

Write = Callable[[Mapping[str, Heartbeat | None]], frozenset[str]]


class Heartbeats:
    """`write` keeps what came of which source servers (None: the same as before); it answers who is gone."""

    def __init__(self, write: Write, pause: float = PAUSE) -> None:
        self._write = write
        self._pause = pause
        self._waiting: dict[str, Heartbeat | None] = {}
        self._told: asyncio.Future[frozenset[str]] | None = None  # of those that wait now
        self._writer: asyncio.Task[None] | None = None
        self._digests: dict[str, bytes] = {}
        self._forget_at = 0.0

    async def take(self, source_id: str, body: bytes, decode: Callable[[bytes], Heartbeat]) -> bool:
        """Durable when it returns; False when the source server is gone. What `decode` raises is raised."""
        digest = hashlib.blake2b(body, digest_size=16).digest()
        if self._known().get(source_id) == digest:
            self._waiting.setdefault(source_id, None)
        else:
            self._waiting[source_id] = decode(body)
            self._digests[source_id] = digest
        try:
            gone = source_id in await asyncio.shield(self._next())
        except BaseException:
            self._digests.pop(source_id, None)
            raise
        if gone:
            self._digests.pop(source_id, None)
        return not gone

    def _known(self) -> dict[str, bytes]:
        """Another process may have written another heartbeat since: nothing is trusted for long."""
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + FORGET
            self._digests.clear()
        return self._digests

    def _next(self) -> "asyncio.Future[frozenset[str]]":
        loop = asyncio.get_running_loop()
        if self._told is None:
            self._told = loop.create_future()
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._run())
        return self._told

    async def _run(self) -> None:
        while self._told is not None:
            told, beats = self._told, self._waiting
            self._told, self._waiting = None, {}
            try:
                told.set_result(await anyio.to_thread.run_sync(self._write, beats))
            except Exception as error:  # noqa: BLE001  each agent is told, and comes again
                told.set_exception(error)
                told.exception()  # somebody has seen it, also if every agent has gone meanwhile
            await asyncio.sleep(self._pause)
