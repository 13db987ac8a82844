"""A host's lease: held as long as its process lives, and let go at its end."""

import time
from collections.abc import Callable
from contextlib import suppress

from rehost.core.errors import DatabaseUnavailableError
from rehost.flow.ticker import Ticker
from rehost.store.hosts import TTL, Presence
from rehost.store.store import Store


class Lease:
    def __init__(
        self,
        store: Store,
        presence: Presence,
        port: Callable[[], int | None],
        room: Callable[[], int],
        lost: Callable[[], None],
        ttl: float = TTL,
    ) -> None:
        """Be one of the database's hosts; HostError when that cannot be.

        `port`: where the receiver listens as of now; `room`: bytes that it may write. `lost` is called when
        the host's place has become another process's, or was given away: this one is to end.
        """
        self._hosts, self._host, self._ttl = store.hosts, presence.id, ttl
        self._port, self._room, self._lost = port, room, lost
        self._last_port = presence.receiver_port
        self._generation = self._hosts.join(presence, ttl)
        self._since = self._renewed = time.monotonic()
        self._ticker = Ticker("lease", self.renew, ttl / 3)

    def start(self) -> None:
        self._ticker.start()

    def close(self) -> None:
        """A database that is away is no reason to stay."""
        self._ticker.close()
        with suppress(DatabaseUnavailableError):
            self._hosts.leave(self._host, self._generation)

    @property
    def steady(self) -> bool:
        """Held without a gap for as long as a lease lasts. After a database was away, all have run out: each
        host gets the time to renew its own before others take it for dead."""
        now = time.monotonic()
        return now - self._renewed < self._ttl and now - self._since >= self._ttl

    def renew(self) -> None:
        self._last_port = self._port() or self._last_port
        if not self._hosts.renew(self._host, self._generation, self._last_port, self._room(), self._ttl):
            self._lost()
            return
        now = time.monotonic()
        if now - self._renewed >= self._ttl:
            self._since = now
        self._renewed = now
