"""TLS 1.3 for the data plane: contexts, and the agent's way to a receiver."""

import socket
import ssl
from pathlib import Path

from rehost.core.errors import ConnectionLostError

SERVER_NAME = "rehost"  # in every server certificate, so that an address may change

# An idle stream is normal (the agent may read for minutes and find nothing new), a dead peer is not.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 120_000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # sessions are not resumed
    context.load_cert_chain(certificate, key)
    return context


def client_context(ca_pem: str) -> ssl.SSLContext:
    """Trusts this authority (PEM text) and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca_pem)
    return context


def prepare(sock: socket.socket) -> None:
    """Small messages leave at once, and a peer that vanished is noticed within two minutes.

    Not sooner: the kernel also counts the time in which a peer takes nothing, because its disk is slow.
    """
    for level, option, value in _KEEPALIVE:
        sock.setsockopt(level, option, value)


def connect(host: str, port: int, context: ssl.SSLContext, timeout: float) -> ssl.SSLSocket:
    """A verified stream to the receiver; ConnectionLostError if it cannot be had within `timeout` seconds."""
    try:
        sock = socket.create_connection((host, port), timeout=timeout)
        prepare(sock)
        return context.wrap_socket(sock, server_hostname=SERVER_NAME)
    except OSError as error:
        raise ConnectionLostError(
            f"no connection to the receiver at {host} port {port}: {error}",
            "check that the server runs and that no firewall closes this port; the agent tries again",
        ) from error
