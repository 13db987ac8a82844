"""Network namespaces as hosts: each has one address on a bridge, which lies in a namespace of its own."""

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.loopdisks import run
from tests.netlab.link import Namespace

_SUBNET = "10.78.0"
_DEVICE, _BRIDGE = "eth0", "bridge"


@dataclass(slots=True)
class Network:
    """The first host is this process's own namespace; the others are made one by one."""

    _hub: str
    _stack: ExitStack
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    def host(self, name: str) -> Namespace:
        """A new namespace, joined to the others."""
        made = Namespace(f"{self._hub}-{name}", f"{_SUBNET}.{next(self._numbers)}")
        _add(made.name, self._stack)
        port = made.address.rpartition(".")[2]
        self._join(port, _DEVICE, "netns", made.name)
        _configure(("ip", "-n", made.name), _DEVICE, made.address)
        return made

    def join_here(self) -> None:
        """Let this process reach the others, at address 1."""
        device = f"storm{os.getpid()}"
        self._join("1", device, "netns", str(os.getpid()))
        self._stack.callback(run, "ip", "link", "delete", device)
        _configure(("ip",), device, f"{_SUBNET}.1")

    def _join(self, port: str, device: str, *where: str) -> None:
        hub = ("ip", "-n", self._hub, "link")
        run(*hub, "add", f"port{port}", "type", "veth", "peer", "name", device, *where)
        run(*hub, "set", f"port{port}", "master", _BRIDGE, "up")


@contextmanager
def network() -> Iterator[Network]:
    """Needs root. Its namespaces are gone afterwards, and with them their devices."""
    with ExitStack() as stack:
        hub = f"rehost-storm-{os.getpid()}"
        _add(hub, stack)
        run("ip", "-n", hub, "link", "add", _BRIDGE, "type", "bridge")
        run("ip", "-n", hub, "link", "set", _BRIDGE, "up")
        made = Network(hub, stack)
        made.join_here()
        yield made


def pids_in(space: Namespace) -> list[int]:
    """All processes of a host."""
    return [int(pid) for pid in run("ip", "netns", "pids", space.name).split()]


def _add(name: str, stack: ExitStack) -> None:
    run("ip", "netns", "add", name)
    stack.callback(run, "ip", "netns", "delete", name)


def _configure(ip: tuple[str, ...], device: str, address: str) -> None:
    run(*ip, "addr", "add", f"{address}/24", "dev", device)
    run(*ip, "link", "set", device, "up")
    run(*ip, "link", "set", "lo", "up")
