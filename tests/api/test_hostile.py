"""Clients that mean harm, against a server in a process of its own, with a normal client beside them."""

import contextlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rehost.api.http1 import HEAD_WITHIN
from tests.api.program import ApiProcess
from tests.api.signed import send, sign_v1, v1_parameters, v3_headers
from tests.api.test_http import ask
from tests.api.world import World

PATIENCE = 3.0  # seconds; one of the official clients waits no longer
MIB = 1 << 20


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """SQLite only: what is refused here never comes to the records."""
    return tmp_path


@pytest.fixture
def server(world: World, tmp_path: Path) -> Iterator[ApiProcess]:
    started = ApiProcess(tmp_path)
    yield started
    started.close()


class Bystander:
    """Asks again and again, and keeps how long each answer took and what was no answer."""

    def __init__(self, world: World, server: ApiProcess) -> None:
        self._world, self._server = world, server
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.failures: list[object] = []

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        thread = threading.Thread(target=self._ask_on)
        thread.start()
        time.sleep(0.5)
        try:
            yield
            time.sleep(0.5)
        finally:
            self._over.set()
            thread.join()
            ordered = sorted(self.seconds)
            median, worst = ordered[len(ordered) // 2] * 1000, ordered[-1] * 1000
            print(f"{len(ordered)} requests beside it: median {median:.1f} ms, slowest {worst:.1f} ms")

    def _ask_on(self) -> None:
        while not self._over.wait(0.05):
            began = time.monotonic()
            try:
                key, now = self._world.key, self._world.clock()
                reply = self._server.call(key, now, "DescribeSourceServers", timeout=PATIENCE)
                if reply.get("TotalCount") != 0:
                    self.failures.append(reply)
            except OSError as error:
                self.failures.append(error)
            self.seconds.append(time.monotonic() - began)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def answer_of(connection: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            answer += part
    return answer


def big_body(port: int) -> bytes:
    """10 MiB, as fast as they go."""
    with connected(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10485760\r\n\r\n"
        )
        for _ in range(160):
            connection.sendall(b"x" * 65536)
        return answer_of(connection)
    return b"HTTP/1.1 413"  # cut off while it was still sending


def many_parameters(port: int) -> bytes:
    body = b"&".join(b"p%d=1" % number for number in range(100_000))
    head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\n"
    with connected(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return answer_of(connection)
    return b"HTTP/1.1 413"


def big_headers(port: int) -> bytes:
    with connected(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * MIB)
        return answer_of(connection)
    return b"HTTP/1.1 400"


@pytest.mark.parametrize(
    ("attack", "status"), [(big_body, b"413"), (many_parameters, b"413"), (big_headers, b"400")]
)
def test_floods_are_refused_in_little_memory_and_nobody_waits(
    world: World, server: ApiProcess, attack: Callable[[int], bytes], status: bytes
) -> None:
    bystander = Bystander(world, server)
    attack(server.port)
    before = server.memory()
    with bystander.beside():
        for _ in range(3):
            threads = [threading.Thread(target=attack, args=[server.port]) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert attack(server.port).startswith(b"HTTP/1.1 " + status)
    assert bystander.failures == []
    assert server.memory() - before < 64 * MIB  # two dozen floods of 1 to 10 MiB, eight at once


def slow_head(connection: socket.socket) -> None:
    connection.sendall(b"X-Slow: 1\r\n")


def slow_body(connection: socket.socket) -> None:
    connection.sendall(b"a")


@pytest.mark.parametrize(
    ("start", "drip"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n", slow_head),
        pytest.param(b"", lambda connection: None, marks=pytest.mark.lab),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", slow_body, marks=pytest.mark.lab
        ),
        pytest.param(
            b"POST /agent/v1/register HTTP/1.1\r\nHost: h\r\nContent-Length: 999\r\n\r\n",
            slow_body,
            marks=pytest.mark.lab,
        ),
    ],
    ids=["head", "silent", "body", "agents"],
)
def test_slow_clients_hold_nothing(
    world: World, server: ApiProcess, start: bytes, drip: Callable[[socket.socket], None]
) -> None:
    """Two hundred of them at once: all are cut off, and the one beside them is served as ever."""
    bystander = Bystander(world, server)
    with contextlib.ExitStack() as stack, bystander.beside():
        slow = [stack.enter_context(connected(server.port)) for _ in range(200)]
        for connection in slow:
            connection.sendall(start)
        end = time.monotonic() + 60
        while slow:
            assert time.monotonic() < end, f"{len(slow)} are still connected"
            time.sleep(1)
            slow = [connection for connection in slow if _lives(connection, drip)]
    assert bystander.failures == []


def _lives(connection: socket.socket, drip: Callable[[socket.socket], None]) -> bool:
    connection.setblocking(False)
    try:
        if connection.recv(65536) == b"":
            return False
    except BlockingIOError:
        pass
    except ConnectionError:
        return False
    connection.setblocking(True)
    try:
        drip(connection)
    except ConnectionError:
        return False
    return True


def test_a_slow_body_gets_an_answer(world: World, server: ApiProcess) -> None:
    with connected(server.port) as connection:
        connection.sendall(b"POST /?Format=XML HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"<Code>RequestTimeout</Code>" in answer


@pytest.mark.lab
def test_a_kept_connection_is_not_cut_off(world: World, server: ApiProcess) -> None:
    """The deadline is of one head, not of a connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    end = time.monotonic() + HEAD_WITHIN + 4
    answers = []
    while time.monotonic() < end:
        parameters = v1_parameters(world.key, world.clock(), "DescribeSourceServers")
        connection.request("GET", f"/?{urlencode(sign_v1('GET', parameters, world.key.secret))}")
        response = connection.getresponse()
        answers.append((response.status, response.headers.get("connection")))
        response.read()
        time.sleep(2)
    connection.close()
    assert set(answers) == {(200, None)}


DEEP = ".".join(["1"] * 20_000)


@pytest.mark.parametrize(
    "name",
    [
        "DataDisk.999999999.Size",
        "DataDisk.99999999999999999999999999.Size",
        "DataDisk.0.Size",
        "DataDisk.-1.Size",
        "DataDisk.1.Part.1.Device.1.1.1.1",
        f"DataDisk.{DEEP}",
        f"DataDisk.1.Part.{DEEP}",
        "DataDisk.1",
        "DataDisk",
        "DataDisk.\u0661.Size",
        "SourceId.1",
        "." * 1000,
    ],
)
def test_absurd_names_of_parameters(world: World, name: str) -> None:
    business = {"SourceId": "s-1", "RegionId": "r", name: "20"}
    parameters = {**v1_parameters(world.key, world.clock(), "CreateReplicationJob"), **business}
    status, reply = send(world, "GET", sign_v1("GET", parameters, world.key.secret), {})
    assert 400 <= status < 500, reply
    assert len(str(reply)) < 2000 + len(name) * 3


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ["", "1", "true", "\x01", "*", "%"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.dictionaries(TEXTS, TEXTS, max_size=5), st.sampled_from(["", "xml", "json", "yaml"]))
def test_no_signed_request_is_an_internal_error(world: World, more: dict[str, str], form: str) -> None:
    parameters = {**v1_parameters(world.key, world.clock(), "CreateReplicationJob"), **more, "Format": form}
    request = sign_v1("POST", parameters, world.key.secret)
    try:
        status, _ = send(world, "POST", request, {})
    except ValueError:  # XML is no JSON
        return
    assert status < 500


BYTES = st.binary(min_size=1, max_size=20).filter(lambda value: not re.search(rb"[\r\n\0]", value))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.sampled_from(
        ["authorization", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "host",
         "x-acs-security-token", "x-acs-accesskey-id", "x-acs-content-sha256", "content-type"]
    ),
    BYTES,
    st.booleans(),
)  # fmt: skip
def test_no_bytes_in_headers_are_an_internal_error(
    world: World, name: str, value: bytes, whole: bool
) -> None:
    text = value.decode(errors="surrogateescape")
    if name == "authorization" and whole:
        text = f"ACS3-HMAC-SHA256 Credential={text},SignedHeaders=host,Signature=x"
    if name == "authorization":
        headers = {**v3_headers(world.key, world.clock(), "DescribeSourceServers", {}), name: text}
    else:
        headers = v3_headers(world.key, world.clock(), "DescribeSourceServers", {}, **{name: text})
    assert send(world, "POST", {"Action": "x"} if whole else {}, headers)[0] < 500


def test_undecodable_headers_over_http(world: World, port: int) -> None:
    for name in ("x-acs-signature-nonce", "x-acs-action", "x-acs-date", "authorization"):
        headers = v3_headers(world.key, world.clock(), "DescribeSourceServers", {}, host=f"127.0.0.1:{port}")
        headers[name] = headers[name][:20] + "\xff\xfe"
        assert 400 <= ask(port, "POST", "/?Action=A", headers=headers)[0] < 500
