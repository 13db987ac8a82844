"""Requests to an HTTP server: as many as it answers, or so many a second whether it answers or not."""

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles

_CONNECTIONS = 4  # that ask as fast as they are answered
_AT_ONCE = 48  # requests under way when the rate is given
_LATE = 120.0  # seconds until an answer counts as none

_Task = tuple[float, bytes]  # when it is due, the request


@dataclass(frozen=True, slots=True)
class Measured:
    rate: float  # answers a second
    milliseconds: tuple[float, ...]  # of each answer, from when it was due and not from when it was sent

    def percentile(self, share: int) -> float:
        return quantiles(self.milliseconds, n=100, method="inclusive")[share - 1]


class RefusedError(Exception):
    """The server did not answer 200: what is measured would not be its work."""


class Connection:
    """One connection, opened again where the server does not keep it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def exchange(self, request: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=_LATE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        head, _, body = self._read_head(self._socket)
        if b" 200 " not in head[:20]:
            raise RefusedError((head + b"\n\n" + body[:300]).decode(errors="replace"))
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        left = length - len(body)
        while left > 0:
            left -= len(self._socket.recv(1 << 18)) or self._broken()
        if head.startswith(b"HTTP/1.0") or b"connection: close" in head.lower():
            self.close()

    def _read_head(self, peer: socket.socket) -> tuple[bytes, bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += peer.recv(1 << 18) or bytes(self._broken())
        return data.partition(b"\r\n\r\n")

    def _broken(self) -> int:
        raise ConnectionResetError("the server ended the connection in the middle of an answer")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def flat_out(port: int, requests: Iterator[bytes], seconds: float) -> Measured:
    """Four connections, each with its next request as soon as it has its answer."""
    lock, end = threading.Lock(), time.monotonic() + seconds

    def upcoming() -> _Task | None:
        if time.monotonic() >= end:
            return None
        with lock:
            request = next(requests, None)
        return None if request is None else (time.monotonic(), request)

    began = time.monotonic()
    taken = _by_threads(port, _CONNECTIONS, upcoming)
    return Measured(len(taken) / (time.monotonic() - began), tuple(taken))


def at_rate(port: int, requests: Sequence[bytes], rate: float) -> Measured:
    """So many a second: an answer that is late makes the next ones late too, and that is counted."""
    due: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
    clock = threading.Thread(target=_tick, args=(due, requests, rate))
    clock.start()
    began = time.monotonic()
    taken = _by_threads(port, _AT_ONCE, due.get)
    clock.join()
    return Measured(len(taken) / (time.monotonic() - began), tuple(taken))


def _tick(due: "queue.SimpleQueue[_Task | None]", requests: Sequence[bytes], rate: float) -> None:
    began = time.monotonic()
    for number, request in enumerate(requests):
        when = began + number / rate
        time.sleep(max(0.0, when - time.monotonic()))
        due.put((when, request))
    for _ in range(_AT_ONCE):
        due.put(None)


def _by_threads(port: int, threads: int, upcoming: Callable[[], _Task | None]) -> list[float]:
    """Milliseconds from when each was due to its answer."""
    taken: list[float] = []
    failures: list[Exception] = []

    def one() -> None:
        connection = Connection(port)
        try:
            while (task := upcoming()) is not None:
                connection.exchange(task[1])
                taken.append((time.monotonic() - task[0]) * 1000)
        except (OSError, RefusedError) as error:
            failures.append(error)
        connection.close()

    workers = [threading.Thread(target=one) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return taken
