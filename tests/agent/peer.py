"""A control plane's end for tests of the client: real TLS and HTTP, answers as the test says."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rehost.cli import keyring
from rehost.wire.tls import server_context


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    authorization: str
    body: object
    connection: int  # the client's port: the same while the connection is kept


CUT = "cut"  # close the connection without an answer
HANG = "hang"  # do not answer


@dataclass
class Peer:
    """Answers `answers[path]` in turn ((status, body), CUT or HANG); the last one stays."""

    ca: str
    url: str = ""
    answers: dict[str, list] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def next_answer(self, path: str) -> object:
        queue = self.answers.get(path, [(200, {})])
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def of(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.partition("?")[0] == path]

    def wait_for(self, path: str, count: int, seconds: float = 30) -> list[Asked]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.of(path)) >= count, seconds), self.asked
            return self.of(path)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    peer: Peer

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.partition("?")[0]
        with self.peer.changed:
            answer = self.peer.next_answer(path)
            credentials = self.headers.get("Authorization", "")
            self.peer.asked.append(Asked(self.command, self.path, credentials, body, self.client_address[1]))
            self.peer.changed.notify_all()
        if answer in (CUT, HANG):
            self.close_connection = True
            if answer == HANG:
                self.peer.ended.wait(30)
            return
        status, content = answer
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def get_request(self):
        sock, address = super().get_request()
        sock.settimeout(60)
        return self.context.wrap_socket(sock, server_side=True), address

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what some tests are about."""


@contextmanager
def peer(folder: Path, answers: dict[str, list] | None = None) -> Iterator[Peer]:
    """A control plane on 127.0.0.1; its certificate is for `rehost`, its keys lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = keyring.ensure(folder)
    made = Peer(keys.ca_pem(), answers=dict(answers or {}))
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"peer": made}))
    server.context = server_context(keys.server_certificate, keys.server_key)
    made.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
