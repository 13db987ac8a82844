"""A data folder with keys and one replica, a receiver process on it, and a small sender."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rehost.block import replica
from rehost.block.layer import chain
from rehost.block.volume import VolumeShape
from rehost.core import digest
from rehost.receive.ticket import Ticket, TicketVolume, sign
from rehost.wire import messages as m
from rehost.wire.channel import Channel
from rehost.wire.payload import Packer
from rehost.wire.tls import SERVER_NAME, client_context, connect

CHUNK = 256 << 10
KEY = bytes(range(32))


class Site:
    """Where one replica `job` is received; its receiver is a process of its own.

    It listens at `address`; `prefix` is a command that runs it.
    """

    def __init__(
        self,
        data: Path,
        shapes: Sequence[VolumeShape],
        address: str = "127.0.0.1",
        prefix: Sequence[str] = (),
    ) -> None:
        self.data = data
        self.address, self._prefix = address, prefix
        self.shapes = tuple(shapes)
        self.folder = data / "replicas" / "job"
        self.process: subprocess.Popen[str] | None = None
        write_keys(data / "keys")
        replica.create(self.folder, shapes)

    def renew(self) -> None:
        """An empty replica in the place of the one there is."""
        shutil.rmtree(self.folder)
        replica.create(self.folder, self.shapes)
        self.raise_generation(1)

    def data_file(self, volume: int) -> Path:
        return chain(self.folder)[0].data(volume)

    def raise_generation(self, generation: int) -> None:
        with replica.open_replica(self.folder) as opened:
            opened.raise_generation(generation)

    def ticket(
        self, generation: int = 1, *, run: str = "r-1", expires: float | None = None, key: bytes = KEY
    ) -> str:
        volumes = tuple(TicketVolume(v.volume, v.size, v.chunk) for v in self.shapes)
        until = int(time.time() + 3600 if expires is None else expires)
        return sign(Ticket("job", run, generation, volumes, True, until), key)

    def start(self, bandwidth: int = 0) -> None:
        """`bandwidth`: KB/s of all runs."""
        code = "import sys; from pathlib import Path; from rehost.receive.main import main; "
        code += f"main(Path(sys.argv[1]), '{self.address}:0', bandwidth={bandwidth})"
        self.process = subprocess.Popen(
            [*self._prefix, sys.executable, "-c", code, str(self.data)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = json.loads(self.process.stdout.readline())["port"]

    def stop(self, number: int = signal.SIGKILL) -> int:
        """End the receiver by a signal (0: it ends by itself); its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def channel(self) -> Channel:
        context = client_context((self.data / "keys" / "server.crt").read_text())
        return Channel(connect(self.address, self.port, context, 10), m.Role.AGENT)

    @contextmanager
    def sender(self, ticket: str | None = None, stream: int = 0) -> "Iterator[Sender]":
        channel = self.channel()
        try:
            yield Sender(channel, self.ticket() if ticket is None else ticket, stream)
        finally:
            channel.close()

    def content(self, volume: int) -> bytes:
        return self.data_file(volume).read_bytes()

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.data / "logs" / "receiver.log").read_text().splitlines()]


class Sender:
    """The agent's side in its simplest form: says Hello, then what it is told."""

    def __init__(self, channel: Channel, ticket: str, stream: int, level: int = 0) -> None:
        self.channel = channel
        self.acked = 0
        self._packer = Packer(level)
        channel.send(m.Hello(m.VERSION, ticket, stream))
        (self.welcome,) = self._hear()

    def _hear(self) -> list[m.Message]:
        for _ in range(300):
            if messages := self.channel.receive(0.1):
                return messages
        raise AssertionError("the receiver said nothing for 30 s")

    def send(self, volume: int, chunk: int, content: bytes | memoryview) -> int:
        """One chunk, once the window has room for it; its sequence number."""
        encoding, payload = self._packer.pack(content)
        seq = self.channel.connection.next_seq
        while self.channel.connection.window_left < len(payload) + 1024:
            self._count(self._hear())
        self.channel.send(m.Data(seq, volume, chunk, digest.of(content), len(content), encoding, payload))
        return seq

    def zero(self, volume: int, first: int, count: int) -> int:
        seq = self.channel.connection.next_seq
        self.channel.send(m.Zero(seq, volume, first, count))
        return seq

    def wait_acked(self, seq: int) -> None:
        while self.acked < seq:
            self._count(self._hear())

    def _count(self, messages: Iterable[m.Message]) -> None:
        for message in messages:
            assert isinstance(message, m.Ack), message
            self.acked = message.seq

    def digests(self, volume: int, first: int, count: int) -> list[bytes]:
        """The journal's digests, once everything sent before is acknowledged."""
        self.wait_acked(self.channel.connection.next_seq - 1)
        self.channel.send(m.DigestsRequest(volume, first, count))
        (answer,) = self._hear()
        assert isinstance(answer, m.Digests)
        return [answer.digests[i : i + digest.SIZE] for i in range(0, len(answer.digests), digest.SIZE)]

    def complete(self) -> tuple[bytes, ...]:
        self.wait_acked(self.channel.connection.next_seq - 1)
        self.channel.send(m.Complete())
        (answer,) = self._hear()
        assert isinstance(answer, m.Completed)
        return answer.roots

    def hear_failure(self) -> None:
        """Listen until the receiver's Failure raises as an error."""
        while True:
            self._count(self._hear())


def chunks_of(content: bytes) -> list[bytes]:
    return [content[i : i + CHUNK] for i in range(0, len(content), CHUNK)]


def root_of(content: bytes) -> bytes:
    return digest.root([digest.of(chunk) for chunk in chunks_of(content)], len(content))


def write_keys(folder: Path) -> None:
    """A key pair whose certificate is its own authority, and the ticket key."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, content in (("server.key", pem), ("ticket.key", KEY)):
        with os.fdopen(os.open(folder / path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(content)
