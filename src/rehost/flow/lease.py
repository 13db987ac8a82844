"""A host's lease: held as long as its process lives, and let go at its end."""

from collections.abc import Callable
from contextlib import suppress

from rehost.core.errors import DatabaseUnavailableError
from rehost.flow.ticker import Ticker
from rehost.store.hosts import RENEWALS, TTL, Presence
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
        self._ticker = Ticker("lease", self.renew, ttl / RENEWALS)

    def start(self) -> None:
        self._ticker.start()

    def close(self) -> None:
        """A database that is away is no reason to stay."""
        self._ticker.close()
        with suppress(DatabaseUnavailableError):
            self._hosts.leave(self._host, self._generation)

    @property
    def steady(self) -> bool:
        """Others whose leases have run out may be taken for dead."""
        return self._hosts.steady(self._host, self._ttl)

    def renew(self) -> None:
        self._last_port = self._port() or self._last_port
        if not self._hosts.renew(self._host, self._generation, self._last_port, self._room(), self._ttl):
            self._lost()
