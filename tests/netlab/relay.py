"""Carries packets between TUN devices in two network namespaces, as a process of its own.

    python -m tests.netlab.relay NAMESPACE NAMESPACE

The kernel that this was made on has no queueing disciplines (netem, tbf), so that a link with a rate and a
delay has to be carried in user space. Segmentation is left to whoever reads the packets (IFF_VNET_HDR with
TSO), so that 1 Gbit/s is about two thousand packets a second and not eighty thousand.

Says "ready" when both devices are there. A line of input is a Shape in JSON; the end of input ends it.
"""

import ctypes
import fcntl
import json
import os
import random
import select
import struct
import sys
import time
from contextlib import suppress

from tests.netlab.shape import Pipe, Shape

DEVICE = "link0"  # in both namespaces
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_CSUM, _TSO4 = 1, 2
_CLONE_NEWNET = 0x40000000
_VNET_HEADER = struct.Struct("<BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
_HEADERS = 52  # bytes of IPv4 and TCP, which every segment has
_ETHERNET = 38  # bytes around a packet: preamble, header, check sequence, gap
_LARGEST = 1 << 17
_AT_ONCE = 64  # packets that are read before others have their turn

_libc = ctypes.CDLL(None, use_errno=True)


def open_tun(namespace: str) -> int:
    """A descriptor of a new TUN device in a namespace, which this thread enters."""
    entered = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if _libc.setns(entered, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    os.close(entered)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(
        tun, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR)
    )
    return tun


def wire_size(packet: bytes) -> int:
    """Bytes that a packet takes on an Ethernet, once it is cut into segments."""
    _, kind, _, segment, _, _ = _VNET_HEADER.unpack_from(packet)
    length = len(packet) - _VNET_HEADER.size
    if kind == 0:
        return length + _ETHERNET
    segments: int = -(-(length - _HEADERS) // segment)
    return length + (segments - 1) * _HEADERS + segments * _ETHERNET


class Relay:
    def __init__(self, tuns: tuple[int, int], control: int) -> None:
        self._control = control
        self._pipes = {tun: Pipe(Shape(), random.random) for tun in tuns}
        self._others = dict(zip(tuns, reversed(tuns), strict=True))
        self.shape(Shape())

    def shape(self, shape: Shape) -> None:
        """Packets that may be lost are of the usual size, so that each is lost alone."""
        for tun, pipe in self._pipes.items():
            fcntl.ioctl(tun, _TUNSETOFFLOAD, _CSUM | (0 if shape.loss else _TSO4))
            pipe.shape = shape

    def carry(self) -> None:
        """Until the end of the control's input."""
        while True:
            self._deliver()
            ready, _, _ = select.select([*self._pipes, self._control], [], [], self._wait())
            if self._control in ready and not self._hear():
                return
            for tun in self._pipes.keys() & set(ready):
                self._take(tun)

    def _deliver(self) -> None:
        now = time.monotonic()
        for tun, pipe in self._pipes.items():
            for packet in pipe.due(now):
                with suppress(OSError):  # a device that is down takes nothing, as a cable that is out
                    os.write(self._others[tun], packet)

    def _wait(self) -> float | None:
        times = [pipe.next_at for pipe in self._pipes.values() if pipe.next_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _take(self, tun: int) -> None:
        with suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                packet = os.read(tun, _LARGEST)
                self._pipes[tun].offer(packet, wire_size(packet), time.monotonic())

    def _hear(self) -> bool:
        line = os.read(self._control, 4096)
        for text in line.splitlines():
            self.shape(Shape(**json.loads(text)))
        return bool(line)


def main() -> None:
    tuns = open_tun(sys.argv[1]), open_tun(sys.argv[2])
    print("ready", flush=True)
    Relay(tuns, sys.stdin.fileno()).carry()


if __name__ == "__main__":
    main()
