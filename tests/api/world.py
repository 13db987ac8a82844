"""A control plane for tests: the real application on a real store behind a real HTTP server."""

import contextlib
import datetime
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rehost.api import serving
from rehost.api.app import App
from rehost.api.services import Services
from rehost.api.wakeups import Wakeups
from rehost.core.agentapi import Register
from rehost.core.server import GIB, BootMode, Disk, Interface, Inventory, Partition
from rehost.flow.engine import WorkflowState
from rehost.flow.lifecycle import Lifecycle
from rehost.store.keys import AccessKey
from rehost.store.serverrow import SourceServer
from rehost.store.store import Store

ACCOUNT = "1234567890123456"
MIB = 1 << 20

INVENTORY = Inventory(
    hostname="web1",
    platform="Debian",
    platform_version="12",
    architecture="x86_64",
    kernel="6.1.0-13-amd64",
    boot_mode=BootMode.BIOS,
    cores=2,
    memory=2 * GIB,
    disks=(
        Disk(
            0, "/dev/sda", 25 * GIB, "dos",
            partitions=(
                Partition(0, "/dev/sda1", MIB, 24 * GIB, "ext4", "u-root", mount="/", used=21 * GIB),
                Partition(1, "/dev/sda2", 24 * GIB + MIB, 512 * MIB, "swap"),
            ),
        ),
        Disk(
            1, "/dev/sdb", 30 * GIB, "gpt",
            partitions=(
                Partition(0, "/dev/sdb1", MIB, 29 * GIB, "xfs", "u-data", mount="/home/data", used=2 * GIB),
            ),
        ),
    ),
    interfaces=(Interface("eth0", "52:54:00:00:00:01", ("10.0.0.1/24",)),),
)  # fmt: skip


class Clock:
    """The real time, moved by what a test adds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Workflows:
    """Durable execution that notes what it was asked for: these tests end where a run begins."""

    host = ""  # the only one

    def __init__(self) -> None:
        self.started: list[tuple[str, ...]] = []
        self.signalled: list[str] = []

    def start(self, workflow: str, workflow_id: str, *arguments: str) -> None:
        self.started.append(arguments)

    def adopt(self, workflow_ids: Sequence[str]) -> None:
        pass

    def signal(self, workflow_id: str) -> None:
        self.signalled.append(workflow_id)

    def states(self, workflow_ids: Sequence[str]) -> dict[str, WorkflowState]:
        return dict.fromkeys(workflow_ids, WorkflowState.ACTIVE)

    def close(self) -> None:
        pass


@dataclass
class World:
    store: Store
    clock: Clock
    workflows: Workflows
    services: Services
    key: AccessKey
    secrets: dict[str, str] = field(default_factory=dict)  # source id -> the agent's secret

    @classmethod
    def make(cls, folder: Path, records: Path | str = "", clock: Clock | None = None) -> "World":
        clock = clock or Clock()
        store = Store.open(records or folder, bytes(32), clock)
        workflows = Workflows()
        agent = folder / "rehost-agent"
        agent.write_bytes(b"#!/bin/sh\necho an agent\n" * 1000)
        services = Services(
            store,
            Lifecycle(store, workflows, wake=lambda: None),
            Wakeups(store.assignments.versions),
            install_script=lambda endpoint: f"#!/bin/sh\nENDPOINT='{endpoint}'\n",
            agent_file=lambda: agent,
        )
        return cls(store, clock, workflows, services, store.keys.create(ACCOUNT))

    def source(
        self, account: str = ACCOUNT, inventory: Inventory = INVENTORY, name: str = "web1"
    ) -> SourceServer:
        """A registered source server that is Available."""
        secret = f"{len(self.secrets) + 1:064x}"
        _, code = self.store.codes.create(account, "tests")
        server = self.store.servers.register(
            Register(code, secret, replace(inventory, hostname=name), "0.1.0")
        )
        self.secrets[server.id] = secret
        return server


@contextlib.contextmanager
def serving_on(
    services: Services, certificate: Path | None = None, key: Path | None = None, port: int = 0
) -> Iterator[int]:
    """The port on 127.0.0.1 that the application answers on."""
    listener = socket.create_server(("127.0.0.1", port))
    server = serving.server(App(services), services.wakeups, certificate, key)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        _until(lambda: server.started)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not true after {seconds} s")
        time.sleep(0.02)


@dataclass(frozen=True)
class Certificates:
    ca: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """A private CA, and a certificate of it for localhost."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = _name("rehost test CA"), _name("localhost")
    ca = _certificate(ca_name, ca_name, ca_key.public_key(), [x509.BasicConstraints(ca=True, path_length=0)])
    names = [
        x509.DNSName("localhost"),
        x509.DNSName("rehost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    leaf = _certificate(name, ca_name, key.public_key(), [x509.SubjectAlternativeName(names)])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    subject = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    use = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    ca = ca.add_extension(subject, critical=False).add_extension(use, critical=True)
    leaf = leaf.add_extension(authority, critical=False)
    made = Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    made.ca.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    extensions: list[x509.ExtensionType],
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    )  # fmt: skip
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder
