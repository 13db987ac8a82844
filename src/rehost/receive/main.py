"""The receiver as a process: `rehost receive --data DIR --listen HOST:PORT`."""

import json
import os
import signal
import socket
import time
from pathlib import Path

from rehost.block.durable import sweep_beside, write_file
from rehost.core.errors import DataFolderError, InvalidValueError
from rehost.receive.admissions import Admissions
from rehost.receive.log import open_log
from rehost.receive.parent import die_with_parent
from rehost.receive.server import Receiver
from rehost.receive.shares import Shares
from rehost.wire.tls import server_context

_KEY = 32  # bytes that a ticket key has at least


def main(
    data: Path,
    listen: str,
    parent: int | None = None,
    volumes: Path | None = None,
    bandwidth: int = 0,
) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the parent process.

    Reads keys/server.crt, server.key and ticket.key of the data folder; writes logs/receiver.log there and,
    once it listens, receiver.json ({"port", "pid"}), which it prints too. `parent` is the pid of the process
    that started this one, so that its death before the first line here is noticed as well. `volumes` is the
    folder of replicas/, if it is not the data folder. `bandwidth`: KB/s that all runs share, 0 for no limit.
    """
    die_with_parent(parent)
    receiver = _receiver(data, listen, (volumes or data) / "replicas", Shares(bandwidth))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: receiver.stop.set())
    receiver.serve()


def _receiver(data: Path, listen: str, replicas: Path, shares: Shares) -> Receiver:
    keys = data / "keys"
    context = server_context(keys / "server.crt", keys / "server.key")
    admissions = Admissions(replicas, _ticket_key(keys / "ticket.key"), time.time)
    listener = _listen(data, *_address(listen))
    return Receiver(listener, context, admissions, open_log(data / "logs" / "receiver.log"), shares)


def _ticket_key(path: Path) -> bytes:
    """The file's bytes as they are."""
    key = path.read_bytes()
    if len(key) < _KEY:
        raise DataFolderError(f"{path} has {len(key)} bytes, a key has at least {_KEY}", "make it anew")
    return key


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InvalidValueError(
            f"{listen!r} is not HOST:PORT", "write for example 0.0.0.0:7443, or port 0 for any"
        )
    return host.strip("[]"), int(port)


def _listen(data: Path, host: str, port: int) -> socket.socket:
    """A listening socket. Port 0 is first the one of last time: agents were told it."""
    announcement = data / "receiver.json"
    last = json.loads(announcement.read_text())["port"] if port == 0 and announcement.exists() else port
    try:
        listener = _bound(host, last)
    except OSError:
        if last == port:
            raise
        listener = _bound(host, port)
    content = json.dumps({"port": listener.getsockname()[1], "pid": os.getpid()})
    sweep_beside(announcement)  # of a receiver that was killed meanwhile
    write_file(announcement, content.encode())
    print(content, flush=True)
    return listener


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=64)
