"""One address for several servers' API: HAProxy, which passes TCP through and looks who is there.

It looks by a TLS handshake: for a process that stands still the kernel goes on to accept connections.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.netlab.link import Namespace

_CONFIGURATION = """\
global
    maxconn 1000
defaults
    mode tcp
    retries 3
    option redispatch
    timeout connect 2s
    timeout check 2s
    timeout client 120s
    timeout server 120s
listen api
    bind {address}:{port}
    balance leastconn
    default-server check check-ssl verify none inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
"""


@contextmanager
def balancer(space: Namespace, folder: Path, servers: Sequence[Namespace], port: int) -> Iterator[str]:
    """The endpoint, https://HOST:PORT."""
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    text = _CONFIGURATION.format(address=space.address, port=port)
    lines = [f"    server {server.name} {server.address}:{port}\n" for server in servers]
    file = folder / "haproxy.cfg"
    file.write_text(text + "".join(lines))
    with (
        (folder / "haproxy.log").open("wb") as log,
        subprocess.Popen(space.command(program, "-db", "-f", str(file)), stdout=log, stderr=log) as process,
    ):
        try:
            yield f"https://{space.address}:{port}"
        finally:
            process.terminate()
