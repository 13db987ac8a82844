"""How fast a connection's network is, from the kernel's own count."""

import socket
import time
from struct import Struct
from struct import error as StructError

_PERIOD = 0.25  # seconds between two looks
_ENOUGH = 1 << 20  # bytes that a figure needs
# Linux' struct tcp_info: bytes_acked; then, in microseconds, busy_time and rwnd_limited (4.10 or later).
_FIGURES = Struct("=120xQ40xQQ")


class LinkSpeed:
    """Bytes that the peer's kernel took, over the time in which some were under way and its buffer not full.

    So a receiver whose disk is slow does not look like a slow network: compression would not help it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._looked, self._bytes, self._busy = 0.0, 0, 0
        self._speed: float | None = None

    def __call__(self) -> float | None:
        """Bytes a second, lately; None while too little was sent, or if the kernel does not tell."""
        now = time.monotonic()
        if now - self._looked >= _PERIOD:
            self._looked = now
            self._look()
        return self._speed

    def _look(self) -> None:
        try:
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            acked, busy, full = _FIGURES.unpack_from(info)
        except (OSError, StructError):
            return
        passed, took = acked - self._bytes, busy - full - self._busy
        if passed >= _ENOUGH and took > 0:
            self._speed = passed / (took / 1e6)
        if passed >= _ENOUGH:
            self._bytes, self._busy = acked, busy - full
