"""A TCP proxy that cuts connections, when told to or after some bytes, and can hold answers back."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Passes on what comes to `port`; `cut` ends all connections, `closed` refuses new ones.

    `resets`: connections do not end, they are reset.
    """

    def __init__(self, target: int, resets: bool = False) -> None:
        self._target = target
        self._how = socket.SHUT_RD if resets else socket.SHUT_RDWR
        self._linger = struct.pack(
            "ii", resets, 0
        )  # on: what is not sent yet is lost, and the peer is told so
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self.budgets: list[int] = []  # bytes to the receiver after which each next connection is cut
        self.connections = 0
        self.to_receiver = 0  # bytes passed on, of all connections; counted by several threads, roughly
        self.closed = False
        self.holding = False  # what the receiver says does not arrive
        self.ending = False

    def serve(self) -> None:
        while not self.ending:
            near, _ = self._listener.accept()
            if self.closed or self.ending:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self.connections += 1
                self._pairs.append((near, far))
                budget = self.budgets.pop(0) if self.budgets else None
            threading.Thread(target=self._join, args=(near, far, budget), daemon=True).start()

    def _join(self, near: socket.socket, far: socket.socket, budget: int | None) -> None:
        back = threading.Thread(target=self._pass, args=(far, near, None, True), daemon=True)
        back.start()
        self._pass(near, far, budget)
        back.join()
        with self._lock:
            for sock in (near, far):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, self._linger)
                sock.close()

    def _pass(
        self, one: socket.socket, other: socket.socket, most: int | None, answers: bool = False
    ) -> None:
        passed = 0
        with suppress(OSError):
            while (most is None or passed < most) and (data := one.recv(1 << 16)):
                while answers and self.holding:
                    time.sleep(0.01)
                other.sendall(data)
                passed += len(data)
                if not answers:
                    self.to_receiver += len(data)
        for sock in (one, other):
            with suppress(OSError):
                sock.shutdown(self._how)

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
            for sock in (sock for pair in pairs for sock in pair):
                with suppress(OSError):
                    sock.shutdown(self._how)
        self.holding = False

    def end(self) -> None:
        self.ending = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.cut()
        self._listener.close()


@contextmanager
def proxy_to(port: int, resets: bool = False) -> Iterator[Proxy]:
    proxy = Proxy(port, resets)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.end()
        thread.join()
