"""Whether the links carry what their shapes say: bytes a second of one plain TCP connection."""

import subprocess
import sys

from bench.place import Place

_SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 9000)) as listener:
    print("up", flush=True)
    peer, _ = listener.accept()
    while peer.recv(1 << 20):
        pass
"""
_CLIENT = """
import socket, sys, time
peer = socket.create_connection((sys.argv[1], 9000))
began, sent, block = time.monotonic(), 0, bytes(1 << 18)
while time.monotonic() < began + 4:
    peer.sendall(block)
    sent += len(block)
peer.shutdown(socket.SHUT_WR)
peer.recv(1)
print(sent / (time.monotonic() - began))
"""


def throughput(place: Place) -> float:
    """Bytes a second of content."""
    server = subprocess.Popen(
        place.far.command(sys.executable, "-c", _SERVER, place.far.address), stdout=subprocess.PIPE
    )
    with server:
        assert server.stdout is not None
        server.stdout.readline()
        client = place.near.command(sys.executable, "-c", _CLIENT, place.far.address)
        return float(subprocess.run(client, check=True, capture_output=True, text=True).stdout)
