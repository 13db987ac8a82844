"""A receiver of webhooks on 127.0.0.1, which answers as a test wants, and checks signatures by itself."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def proves(self, secret: str) -> bool:
        """As Standard Webhooks says, in the words of docs/webhooks.md."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(expected, self.headers["webhook-signature"])

    @property
    def sent(self) -> int:
        """When it says that it was sent, Unix seconds."""
        return int(self.headers["webhook-timestamp"])


Answers = Callable[[Received], int]  # the status


class Receiver:
    def __init__(self, answers: Answers = lambda received: 200, port: int = 0) -> None:
        self.answers = answers
        self.received: list[Received] = []
        self.let_go = threading.Event()  # ends what hangs
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.path, headers, body)
                receiver.received.append(received)
                status = receiver.answers(received)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Tests look at `received`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hang(self, received: Received) -> int:
        self.let_go.wait(60)
        return 200

    def types(self) -> list[str]:
        return [received.content["type"] for received in self.received]


@contextmanager
def receiving(answers: Answers = lambda received: 200) -> Iterator[Receiver]:
    receiver = Receiver(answers)
    try:
        yield receiver
    finally:
        receiver.close()
