"""Two network namespaces, and a link between them whose rate, delay, loss and black hole are as asked.

with link(Shape(rate=100e6 / 8, delay=0.02)) as between:
    subprocess.Popen(between.far.command("rehost", "receive", …))
    between.shape(Shape(black_hole=True))
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.loopdisks import run
from tests.netlab.relay import DEVICE
from tests.netlab.shape import Shape

_ROOT = Path(__file__).parents[2]
_numbers = itertools.count()
OPEN = Shape()  # as fast as the machine carries it


@dataclass(frozen=True, slots=True)
class Namespace:
    name: str
    address: str  # of its end of the link

    def command(self, *command: str) -> tuple[str, ...]:
        """The command that runs `command` in here. Only the network differs: `ip netns exec` would also
        mount /sys anew, without the file system that pins of write tracking lie in."""
        return ("nsenter", f"--net=/run/netns/{self.name}", *command)


class Link:
    def __init__(self, near: Namespace, far: Namespace, relay: "subprocess.Popen[str]") -> None:
        self.near, self.far = near, far
        self._relay = relay

    def shape(self, shape: Shape) -> None:
        """What the link does from now on, in both directions."""
        assert self._relay.stdin is not None
        self._relay.stdin.write(json.dumps(asdict(shape)) + "\n")
        self._relay.stdin.flush()


@contextmanager
def link(shape: Shape = OPEN) -> Iterator[Link]:
    """A link that is up; needs root. Namespaces and relay are gone afterwards."""
    number = f"rehost-{os.getpid()}-{next(_numbers)}"
    near, far = Namespace(f"{number}-near", "10.77.0.1"), Namespace(f"{number}-far", "10.77.0.2")
    with ExitStack() as stack:
        for space in (near, far):
            run("ip", "netns", "add", space.name)
            stack.callback(run, "ip", "netns", "delete", space.name)
        between = Link(near, far, stack.enter_context(_relay(near, far)))
        for space in (near, far):
            _configure(space)
        between.shape(shape)
        yield between


@contextmanager
def _relay(near: Namespace, far: Namespace) -> "Iterator[subprocess.Popen[str]]":
    relay = subprocess.Popen(
        [sys.executable, "-m", "tests.netlab.relay", near.name, far.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    with relay:  # leaving closes its input, which ends it
        assert relay.stdout is not None
        assert relay.stdout.readline() == "ready\n"
        yield relay


def _configure(space: Namespace) -> None:
    ip = ("ip", "-n", space.name)
    run(*ip, "addr", "add", f"{space.address}/24", "dev", DEVICE)
    run(*ip, "link", "set", DEVICE, "up")
    run(*ip, "link", "set", "lo", "up")
