"""Running an image as a virtual machine in front of a person, on disks that forget."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from rehost.compute.driver import Image, ImageState
from rehost.core.errors import MachineError, VolumeError
from rehost.machine import accel
from rehost.machine.programs import find
from rehost.machine.qemu import Disk, Machine, Sockets, arguments

START_DEADLINE = 30.0  # seconds until QEMU runs
SSH = 22
SMALLEST_NETWORK = 29  # prefix length; QEMU needs two addresses of its own beside the guest's


@dataclass(frozen=True, slots=True)
class BootOptions:
    memory: int = 1024  # MiB
    cpus: int = 2
    ssh_port: int | None = None  # on the host's loopback address; leads to the guest's port 22
    vnc_display: int | None = None  # port 5900 + n on the host's loopback address
    online: bool = False  # a way out, through this host
    address: IPv4Interface | None = None  # that the guest gives itself; None: it asks by DHCP
    console: Path | None = None  # where the serial console goes instead of the terminal


def boot(image: Image, options: BootOptions, cache: Path, started: Callable[[int], None]) -> int:
    """QEMU's exit status when the guest has ended; `started` is told QEMU's process id before that.

    MachineError when QEMU does not start, VolumeError for an image that is being built.
    """
    if image.state is ImageState.BUILDING:
        raise VolumeError(f"the image {image.id} is still being built", "wait until its job has finished")
    with tempfile.TemporaryDirectory(prefix="rehost-", dir="/tmp") as folder:
        sockets = Sockets(Path(folder))  # a short name, whatever TMPDIR is: socket names are short
        argv = arguments(machine(image, options), accel.choose(cache), sockets)
        command = [str(find("setpriv")), "--pdeathsig", "TERM", str(find("qemu-system-x86_64")), *argv]
        with subprocess.Popen(command) as process, _ended_with_us(process):
            _wait_for_start(process, sockets.qmp, image)
            started(process.pid)
            return process.wait()


def machine(image: Image, options: BootOptions) -> Machine:
    """The same hardware as in the boot check. Pure."""
    return Machine(
        name=image.id,
        memory=options.memory,
        cpus=options.cpus,
        disks=tuple(Disk(disk.path, "qcow2", throwaway=True, cache="unsafe") for disk in image.disks),
        guest_agent=True,
        screen=True,
        extra=(*_network(image.mac, options), *_console(options), *_vnc(options)),
    )


def _network(mac: str, options: BootOptions) -> Iterator[str]:
    """QEMU's own network, laid around the address that the guest has; restricted unless asked otherwise."""
    values = ["user,id=net0", f"restrict={'off' if options.online else 'on'}", "ipv6=off"]
    guest = ""
    if options.address is not None and options.address.network.prefixlen <= SMALLEST_NETWORK:
        network, guest = options.address.network, str(options.address.ip)
        free = (host for host in network.hosts() if host != options.address.ip)
        values += [f"net={network}", f"host={next(free)}", f"dns={next(free)}"]
    if options.ssh_port is not None:
        values.append(f"hostfwd=tcp:127.0.0.1:{options.ssh_port}-{guest}:{SSH}")
    yield from ("-netdev", ",".join(values))
    yield from ("-device", f"virtio-net-pci,netdev=net0,mac={mac},romfile=")


def _console(options: BootOptions) -> Iterator[str]:
    """On the terminal Ctrl-C belongs to the guest, and QEMU's monitor is behind Ctrl-A."""
    if options.console is not None:
        file = str(options.console).replace(",", ",,")
        yield from ("-chardev", f"file,id=console,path={file}", "-serial", "chardev:console")
        return
    yield from ("-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console")
    yield from ("-mon", "chardev=console,mode=readline")


def _vnc(options: BootOptions) -> Iterator[str]:
    if options.vnc_display is not None:
        yield from ("-vnc", f"127.0.0.1:{options.vnc_display}")


@contextlib.contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()  # nothing to lose: the disks are throw-away ones


def _wait_for_start(process: subprocess.Popen[bytes], control: Path, image: Image) -> None:
    """QEMU greets on its control socket when all is set up; what it complains of is on stderr already."""
    deadline = time.monotonic() + START_DEADLINE
    while not _greets(control):
        if process.poll() is not None:
            raise MachineError(
                f"QEMU did not start {image.id} (exit status {process.returncode})",
                "its own message is above; often a port is taken: choose another --ssh-port or --vnc",
            )
        if time.monotonic() > deadline:
            raise MachineError(
                f"QEMU for {image.id} did not start within {START_DEADLINE:.0f} s", "try again"
            )
        time.sleep(0.05)


def _greets(control: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(control))
            return bool(client.recv(1))
        except OSError:
            return False
