"""HTTPS to a control plane, as the agent and the command line speak it."""

import contextlib
import http.client
import socket
import ssl

from rehost.wire.tls import SERVER_NAME, prepare


class PinnedConnection(http.client.HTTPSConnection):
    """Connects to an address and checks the name `rehost`: the authority is pinned, the address is not."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._pinned = context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        try:
            prepare(plain)
            self.sock = self._pinned.wrap_socket(plain, server_hostname=SERVER_NAME)
        except BaseException:
            plain.close()
            raise

    def certificate(self) -> bytes:
        """The peer's, as DER; OSError before the connection is there."""
        sock = self.sock
        der = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        if der is None:
            raise OSError("the connection has no certificate")
        return der

    def allow(self, timeout: float) -> None:
        """Seconds that the next answer may take."""
        if self.sock is not None:
            self.sock.settimeout(timeout)
        self.timeout = timeout

    def interrupt(self) -> None:
        """End what another thread waits for; that thread then closes the socket.

        Below TLS, whose own shutdown would change the object under that thread's hands.
        """
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):  # not connected any more
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
