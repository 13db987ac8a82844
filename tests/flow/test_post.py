"""One POST: over TLS too, and ended in time whatever the receiver does."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rehost.core.delivery import Answer
from rehost.flow.post import Poster
from tests.api.world import Certificates, make_certificates
from tests.flow.receiver import receiving

Talk = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@contextmanager
def server(talk: Talk, certificates: Certificates | None = None) -> Iterator[int]:
    """A port at which one connection is answered by `talk`."""
    listener = socket.create_server(("", 0))
    listener.settimeout(30)

    def serve() -> None:
        plain, _ = listener.accept()
        plain.settimeout(30)
        with plain, suppress(OSError):  # the other side goes away
            if certificates is None:
                talk(plain)
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.certificate, certificates.key)
            with context.wrap_socket(plain, server_side=True) as secure:
                talk(secure)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def request(sock: socket.socket) -> None:
    """All of it: what is unread at the end would reset the connection, and the answer with it."""
    read = b""
    while not read.endswith(b"{}"):
        read += sock.recv(65536) or b"{}"


def accept(sock: socket.socket) -> None:
    request(sock)
    sock.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


def drip(sock: socket.socket) -> None:
    """A byte of headers now and then, for a minute, or until the other side has enough."""
    request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(600):
        sock.sendall(b"X-Slow: 1\r\n")
        time.sleep(0.1)


def post(port: int, scheme: str = "http", host: str = "localhost", timeout: float = 5.0) -> Answer:
    return Poster(local=True, timeout=timeout)(f"{scheme}://{host}:{port}/", {}, b"{}")


def test_over_tls(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with server(accept, certificates) as port:
        answer = post(port, "https")
    assert (answer.status, answer.error) == (202, "")


@pytest.mark.parametrize("fault", ["authority", "name"])
def test_a_certificate_that_proves_nothing(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    other = make_certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str((other if fault == "authority" else certificates).ca))
    with server(accept, certificates) as port:
        answer = post(port, "https", "localhost" if fault == "authority" else "127.0.0.2")
    assert answer.status is None
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error


@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_that_comes_byte_by_byte_is_cut_off(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with server(drip, certificates if secure else None) as port:
        answer = post(port, "https" if secure else "http", timeout=1.0)
    assert answer == Answer(None, "no answer within 1 s", answer.seconds)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_answer(said: bytes) -> None:
    def talk(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(said)

    with server(talk) as port:
        answer = post(port)
    assert answer.status is None
    assert answer.error.startswith("no answer: ")


def test_a_target_as_it_is_written() -> None:
    with receiving() as receiver:
        for written, asked in (("", "/"), ("/?", "/"), ("/a%20b/c?d=e&f", "/a%20b/c?d=e&f"), ("?q", "/?q")):
            assert Poster(local=True)(f"http://127.0.0.1:{receiver.port}{written}", {}, b"{}").delivered
            assert receiver.received[-1].path == asked
