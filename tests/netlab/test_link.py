"""Real connections over a link between two network namespaces."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.netlab.link import Link, link
from tests.netlab.shape import Shape

ECHO = """
import socket, sys
with socket.create_server((sys.argv[1], 9000)) as listener:
    print("up", flush=True)
    peer, _ = listener.accept()
    while data := peer.recv(1 << 16):
        peer.sendall(data)
"""
TALK = """
import socket, sys, threading
peer = socket.create_connection((sys.argv[1], 9000))
for line in sys.stdin:
    sent, heard = bytes(range(256)) * int(line), b""
    peer.settimeout(float(sys.argv[2]))
    threading.Thread(target=peer.sendall, args=(sent,)).start()
    try:
        while len(heard) < len(sent):
            heard += peer.recv(len(sent) - len(heard))
        print(heard == sent, flush=True)
    except TimeoutError:
        print("silence", flush=True)
"""


class Talk:
    """Sends so many times 256 bytes and hears them back."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, count: int) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def talk(between: Link, patience: float = 60.0) -> Iterator[Talk]:
    far, near = (
        subprocess.Popen(
            space.command(sys.executable, "-c", code, between.far.address, str(patience)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for space, code in ((between.far, ECHO), (between.near, "input();" + TALK))
    )
    with far, near:
        assert far.stdout is not None
        assert near.stdin is not None
        assert far.stdout.readline() == "up\n"
        near.stdin.write("\n")
        yield Talk(near)
        near.stdin.close()


@pytest.mark.parametrize("shape", [Shape(), Shape(1e9 / 8, 0.001), Shape(1e8 / 8, loss=0.01)])
def test_bytes_pass_whole(shape: Shape) -> None:
    with link(shape) as between, talk(between) as say:
        assert say(4096) == "True"


def test_a_black_hole_opens_and_closes() -> None:
    with link() as between, talk(between, patience=1.0) as say:
        assert say(1) == "True"
        between.shape(Shape(black_hole=True))
        assert say(1) == "silence"
        between.shape(Shape())
        assert say(1) == "True"  # TCP has sent again what was lost
