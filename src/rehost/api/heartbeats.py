"""Heartbeats of many agents: one that says the same as the one before changes the time only."""

import hashlib
import time
from collections.abc import Callable

from rehost.api.batches import PAUSE, Batches
from rehost.api.batches import Write as WriteMany
from rehost.core.agentapi import Heartbeat

FORGET = 300.0  # seconds until all is written again, whatever is thought to be there

Write = WriteMany[str, Heartbeat | None, frozenset[str]]


class Heartbeats:
    """`write` keeps what came of which source servers (None: the same as before); it answers who is gone."""

    def __init__(self, write: Write, pause: float = PAUSE) -> None:
        self._batches = Batches(write, pause)
        self._digests: dict[str, bytes] = {}
        self._forget_at = 0.0

    async def take(self, source_id: str, body: bytes, decode: Callable[[bytes], Heartbeat]) -> bool:
        """Durable when it returns; False when the source server is gone. What `decode` raises is raised."""
        digest = hashlib.blake2b(body, digest_size=16).digest()
        beat = None if self._known().get(source_id) == digest else decode(body)
        self._digests[source_id] = digest
        try:
            gone = source_id in await self._batches.put(source_id, beat)
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
