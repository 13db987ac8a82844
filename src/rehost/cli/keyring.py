"""Keys and certificates of a control plane, made on its first start and kept.

ca.crt ca.key          its own authority: agents and SDKs trust this one and no other
server.crt server.key  for TLS; the certificate is made anew when addresses are added or its end is near
ticket.key             signs the tickets of the data plane
secrets.key            seals the secrets in the database, see secretskey.py
"""

import base64
import hashlib
import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rehost.block.durable import remove_file, write_file
from rehost.cli import secretskey
from rehost.core.errors import DataFolderError
from rehost.store.secretbox import KEY_BYTES
from rehost.wire.tls import SERVER_NAME

_CA_LIFE = timedelta(days=3650)
_SERVER_LIFE = timedelta(days=1825)
_RENEW_BEFORE = timedelta(days=180)
_CLOCK_SKEW = timedelta(days=1)  # sources' clocks may be behind


@dataclass(frozen=True, slots=True)
class Keyring:
    folder: Path

    @property
    def ca_certificate(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        return self.folder / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.folder / "server.key"

    def ca_pem(self) -> str:
        return self.ca_certificate.read_text()

    def ticket_key(self) -> bytes:
        return (self.folder / "ticket.key").read_bytes()

    def secrets_keys(self) -> tuple[bytes, ...]:
        """The newest first."""
        return secretskey.load(self.folder)

    def digest(self) -> str:
        """Of what all hosts of a database have in common; it tells nothing of the keys."""
        names = ("ca.crt", "server.key", "ticket.key")
        return hashlib.sha256(b"".join((self.folder / name).read_bytes() for name in names)).hexdigest()

    def pin(self) -> str:
        """The server key's fingerprint as `curl --pinnedpubkey` takes it."""
        return pin_of(x509.load_pem_x509_certificate(self.server_certificate.read_bytes()))


def pin_of(certificate: x509.Certificate) -> str:
    """The fingerprint of a certificate's key as `curl --pinnedpubkey` takes it."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"sha256//{base64.b64encode(hashlib.sha256(spki).digest()).decode()}"


def present(folder: Path) -> None:
    """DataFolderError unless a control plane's keys are there: a worker makes none of its own."""
    needed = ("ca.crt", "ca.key", "server.key", "ticket.key")
    missing = [name for name in needed if not (folder / name).exists()]
    if missing or not secretskey.present(folder):
        raise DataFolderError(
            f"{folder} has no {(*missing, secretskey.FILE)[0]}",
            "copy the folder keys/ with ca.*, server.key, ticket.key and secrets.key from a host that runs"
            " rehost serve; docs/hosts.md",
        )


def ensure(folder: Path, addresses: Sequence[str] = ()) -> Keyring:
    """The keys in the folder; what is missing is made. The certificate is good for the addresses, too."""
    if not (folder / "ticket.key").exists():
        write_file(folder / "ticket.key", os.urandom(KEY_BYTES), 0o600)
    secretskey.ensure(folder)
    _ensure_authority(folder)
    _ensure_certificate(folder, _names(addresses))
    return Keyring(folder)


def renew_ticket_key(folder: Path) -> None:
    """Every ticket that was signed so far is void; the next start makes the new key."""
    remove_file(folder / "ticket.key")


def _ensure_authority(folder: Path) -> None:
    """The certificate is written last: a key without one is of a first start that was cut off."""
    if (folder / "ca.crt").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rehost authority")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = _builder(name, name, key.public_key(), _CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    _write_key(folder / "ca.key", key)
    write_file(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _ensure_certificate(folder: Path, names: frozenset[str]) -> None:
    """The key stays the same when the certificate is made anew: install lines carry its fingerprint."""
    path = folder / "server.crt"
    if path.exists():
        present = x509.load_pem_x509_certificate(path.read_bytes())
        lasts = present.not_valid_after_utc - datetime.now(UTC) > _RENEW_BEFORE
        if lasts and names <= _names_in(present):
            return
        names |= _names_in(present)
    if not (folder / "server.key").exists():
        _write_key(folder / "server.key", ec.generate_private_key(ec.SECP256R1()))
    certificate = _issue(folder, names)
    write_file(path, certificate.public_bytes(serialization.Encoding.PEM))


def _issue(folder: Path, names: frozenset[str]) -> x509.Certificate:
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    signer = _private(folder / "ca.key")
    public = _private(folder / "server.key").public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    alternatives = x509.SubjectAlternativeName([_alternative(name) for name in sorted(names)])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = _builder(subject, authority.subject, public, _SERVER_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    builder = builder.add_extension(usage, critical=False)
    builder = builder.add_extension(alternatives, critical=False)
    return builder.add_extension(issuer_key, critical=False).sign(signer, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(addresses: Sequence[str]) -> frozenset[str]:
    return frozenset({SERVER_NAME, "localhost", "127.0.0.1", "::1", socket.gethostname(), *addresses})


def _names_in(certificate: x509.Certificate) -> frozenset[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return frozenset(str(name.value) for name in names)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_file(path, pem, 0o600)


def _private(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise DataFolderError(f"{path} is not a key that rehost made", "restore it from a backup")
    return key
