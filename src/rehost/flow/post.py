"""One HTTP POST to an address that somebody else has chosen: bounded in time, and not to this host itself.

Redirects are not followed, proxies not asked, and of the answer only the status is read: nothing of what
stands behind an address is told to whoever chose it.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

from rehost.core.addresses import refused
from rehost.core.delivery import Answer
from rehost.core.errors import WebhookError

TIMEOUT = 10.0  # seconds for all of it


class Poster:
    """Safe to use from many threads."""

    def __init__(self, local: bool = False, timeout: float = TIMEOUT) -> None:
        """`local`: addresses of this host, link-local and metadata addresses are allowed."""
        self._local = local
        self._timeout = timeout

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Never raises: what goes wrong is the answer's error."""
        begun = time.monotonic()
        status, error = None, ""
        try:
            status = self._exchange(urlsplit(url), headers, body, begun + self._timeout)
        except WebhookError as refusal:
            error = str(refusal)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            error = f"no answer: {fault or type(fault).__name__}"
        seconds = time.monotonic() - begun
        if error and seconds >= self._timeout:
            error = f"no answer within {self._timeout:g} s"
        if status is not None:
            error = _meaning(status)
        return Answer(status, error, seconds)

    def _exchange(self, url: SplitResult, headers: Mapping[str, str], body: bytes, deadline: float) -> int:
        host, secure = url.hostname or "", url.scheme == "https"
        port = url.port or (443 if secure else 80)
        with closing(self._dial(host, port, deadline)) as plain, _Cut(plain, deadline):
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            connection = kind(host, port)
            connection.sock = self._tls.wrap_socket(plain, server_hostname=host) if secure else plain
            with closing(connection):
                target = (url.path or "/") + (f"?{url.query}" if url.query else "")
                connection.request("POST", target, body, dict(headers))
                return connection.getresponse().status

    def _dial(self, host: str, port: int, deadline: float) -> socket.socket:
        """To an address that was looked at: a name may lead anywhere, and elsewhere each time."""
        error: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if not self._local and (why := refused(str(address[0]))):
                raise WebhookError(
                    f"{host} is {address[0]}, {why}", "such addresses have to be allowed in limits.json"
                )
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                sock.connect(address)
            except OSError as fault:
                sock.close()
                error = fault
            else:
                return sock
        raise error

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The host's own authorities, or those that SSL_CERT_FILE names."""
        return ssl.create_default_context()


class _Cut:
    """Ends whatever is done on a socket when its time is over, also where each byte comes just in time;
    TimeoutError then."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._same = sock.dup()  # TLS takes the socket itself away
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._end)
        self._timer.daemon = True
        self._over = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._same.close()
        if self._over:
            raise TimeoutError("cut off")  # http.client takes headers that end in their middle for whole ones

    def _end(self) -> None:
        self._over = True
        with suppress(OSError):
            self._same.shutdown(socket.SHUT_RDWR)


def _meaning(status: int) -> str:
    """Why a status does not count as delivered; empty: it does."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"the receiver answered {status}: redirects are not followed"
    return f"the receiver answered {status}"
