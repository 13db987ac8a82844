"""Devices of every kind, all of one size, for the suite that they share."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rehost.block.device import Device
from rehost.block.file import open_volume
from rehost.block.filters import Count, Delay, Fail, Throttle
from rehost.block.memory import MemoryDevice
from rehost.block.nbd import connect
from rehost.machine.storage_daemon import DiskImage, StorageDaemon
from tests.loopdisks import loop_disks, run

SIZE = (1 << 20) + 512  # a sector that belongs to no page


@contextmanager
def file(folder: Path) -> Iterator[Device]:
    yield from _opened(folder / "volume.raw")


@contextmanager
def without_holes(folder: Path) -> Iterator[Device]:
    """A file on a file system that knows no holes: ranges are zeroed by writing."""
    mount = folder / "ramfs"
    mount.mkdir()
    run("mount", "-t", "ramfs", "none", mount)
    try:
        yield from _opened(mount / "volume.raw")
    finally:
        run("umount", mount)


def _opened(path: Path) -> Iterator[Device]:
    path.write_bytes(bytes(SIZE))
    device = open_volume(path)
    yield device
    device.close()


@contextmanager
def block_device(folder: Path) -> Iterator[Device]:
    with loop_disks(folder) as disks:
        device = open_volume(Path(disks.make(SIZE).path))
        yield device
        device.close()


@contextmanager
def memory(_: Path) -> Iterator[Device]:
    yield MemoryDevice(SIZE)


@contextmanager
def filtered(_: Path) -> Iterator[Device]:
    """All filters on top of each other, none in the mood to disturb."""
    yield Count(Throttle(Delay(Fail(MemoryDevice(SIZE), lambda *_: None), 0.0), 1e12))


@contextmanager
def nbd(folder: Path) -> Iterator[Device]:
    """A layer's disk: qcow2 over another one, behind QEMU's own server."""
    create_qcow2(folder / "volume.qcow2", SIZE)
    with StorageDaemon([DiskImage("disk-0", folder / "volume.qcow2", "qcow2")]) as daemon:
        device = connect(daemon.socket, "disk-0")
        yield device
        device.close()


def create_qcow2(path: Path, size: int) -> None:
    below = path.with_suffix(".raw")
    below.touch()
    os.truncate(below, size)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", below.name, path, str(size))


KINDS: list[Callable[[Path], object]] = [file, without_holes, block_device, memory, filtered, nbd]


@contextmanager
def failing_disk(folder: Path, operation: str, sector: int) -> Iterator[Path]:
    """A disk of 8 MiB whose kernel answers EIO to an operation (read, write, flush) that touches a sector."""
    image, disk = folder / "image.raw", folder / "disk"
    image.write_bytes(os.urandom(8 << 20))
    disk.touch()
    fault = f'"event":"none","iotype":"{operation}","errno":5,"sector":{sector},"once":false'
    nodes = f'{{"driver":"blkdebug","node-name":"n","image":{{"driver":"file","filename":"{image}"}},'
    export = f"type=fuse,id=e,node-name=n,mountpoint={disk},writable=on"
    command = ["qemu-storage-daemon", "--blockdev", nodes + f'"inject-error":[{{{fault}}}]}}']
    pidfile = folder / "daemon.pid"
    with ExitStack() as stack:
        daemon = subprocess.Popen([*command, "--export", export, "--pidfile", pidfile])
        stack.callback(daemon.wait, 20)
        stack.callback(daemon.terminate)
        while not pidfile.exists():
            assert daemon.poll() is None
        yield disk
