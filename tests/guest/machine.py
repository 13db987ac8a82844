"""The guest at work: commands in it, and its disks as files here."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rehost.core.errors import MachineError
from rehost.machine import accel, process
from rehost.machine.qemu import Bus, Disk, Kernel, Machine, Nic, PortForward
from rehost.machine.qmp import Qmp
from tests.cli.serving import until
from tests.guest import image
from tests.loopdisks import run

HOST = "10.0.2.2"  # this host's loopback address, as the guest sees it
_MAC = "52:54:00:12:34:57"
_END = "command-ended"
_REST = 40.0  # of a torture: an emulated guest has other work, too, the more so on a loaded machine


class Guest:
    """A running guest; its root is on vda, its other disks are sda, sdb, …, and what is plugged in."""

    def __init__(self, disks: dict[str, Path], port: int, console: Path, qmp: Qmp) -> None:
        self.disks = disks  # raw files, by their names in there; what the guest writes is in them at once
        self._port = port
        self._console = console
        self._qmp = qmp
        self._refusal = ""  # QEMU's last one

    def run(self, command: str, timeout: float = 60.0) -> str:
        """What a shell command writes; AssertionError when it fails."""
        with self.session(f"exec 2>&1\n{command}\necho {_END} $?; exit", timeout) as talk:
            text, _, status = talk.read().rpartition(_END)
        assert status.strip() == "0", f"{command}: {text}"
        return text.strip()

    def names(self) -> list[str]:
        """Its SATA disks in the order of their ports; their letters are a matter of luck, as drivers race."""
        paths = self.run(
            "for name in $(ls /sys/block | grep ^sd); do readlink -f /sys/block/$name; done"
        ).split()
        ports = {int(path.partition("/ata")[2].partition("/")[0]): path for path in paths}
        return [Path(ports[port]).name for port in sorted(ports)]

    @contextmanager
    def session(self, command: str, timeout: float = 600.0) -> Iterator[TextIO]:
        """A shell's command whose input and output are the connection."""
        with (
            socket.create_connection(("127.0.0.1", self._port), timeout) as connection,
            connection.makefile("rw", encoding="utf-8") as talk,
        ):
            talk.reconfigure(
                line_buffering=True
            )  # makefile leaves it out: a line of one byte would stay here
            talk.write(command + "\n")
            yield talk

    @contextmanager
    def tortured(self, folder: str, seed: int) -> Iterator[None]:
        command = f"python3 /opt/torture.py {folder} {seed} {_REST} 2>&1; echo ended $?; exit"
        with self.session(command) as talk:
            assert talk.readline() == "begun\n"
            yield
            talk.write("\n")
            assert talk.read() == "ended 0\n"

    def plug(self, name: str, disk: Path) -> None:
        """A virtio disk that comes while it runs; `name` is the next one that is free."""
        self._qmp.execute("blockdev-add", driver="file", filename=str(disk), **{"node-name": name})
        self._qmp.execute("device_add", driver="virtio-blk-pci", drive=name, id=name)
        until(lambda: self._has(name), f"{name} is plugged in")
        self.disks[name] = disk

    def unplug(self, name: str) -> None:
        """Such a disk goes, in use or not."""
        self._qmp.execute("device_del", id=name)
        until(lambda: not self._has(name), f"{name} is unplugged")
        until(
            lambda: self._released(name), lambda: f"{name}: {self._refusal}\n{self.run('dmesg | tail -20')}"
        )
        del self.disks[name]

    def _has(self, name: str) -> bool:
        return name in self.run("ls /sys/block").split()

    def _released(self, name: str) -> bool:
        """QEMU's answers say no also when the file was closed, but later than the answer was waited for."""
        try:
            self._qmp.execute("blockdev-del", **{"node-name": name})
        except MachineError as refusal:
            self._refusal = str(refusal)
            with suppress(MachineError):  # a guest may miss one; QEMU takes the next one after five seconds
                self._qmp.execute("device_del", id=name)
        return name not in {node["node-name"] for node in self._qmp.execute("query-named-block-nodes")}

    def wait_until_up(self) -> None:
        """Not asked before it listens: QEMU's network repeats what nobody takes after ever longer pauses."""
        for condition in (self._says_so, self._answers):
            until(condition, lambda: self._said()[-2000:], 120)

    def _says_so(self) -> bool:
        return "the guest is up" in self._said()

    def _said(self) -> str:
        return self._console.read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            return self.run("echo up") == "up"
        except (OSError, AssertionError):
            return False


@contextmanager
def booted(folder: Path, cache: Path, sizes: tuple[int, ...], lvm: bool = False) -> Iterator[Guest]:
    """A guest with further empty SATA disks of these sizes; `lvm`: its root is on vg/root."""
    parts, port = image.build(cache, lvm), _free_port()
    root, code, console = folder / "root.img", folder / "code.img", folder / "console.log"
    run("cp", "--sparse=always", parts.root, root)
    image.write_code(code, folder / "code")
    shutil.rmtree(folder / "code")
    others = [folder / f"data-{number}.img" for number in range(len(sizes))]
    for disk, size in zip(others, sizes, strict=True):
        run("truncate", f"--size={size}", disk)
    machine = Machine(
        name="rehost-test-guest",
        memory=512,
        cpus=2,
        disks=(
            Disk(root, cache="unsafe"),
            Disk(code, read_only=True),
            *(Disk(disk, bus=Bus.SATA, cache="unsafe") for disk in others),
        ),
        nics=(Nic(_MAC, restrict=False, port_forwards=(PortForward(port, 22),)),),
        kernel=Kernel(parts.kernel, parts.initrd, "console=ttyS0 panic=-1"),
        serial=console,
        reboots=False,
    )
    with process.start(machine, accel.choose(cache)) as running:
        guest = Guest({"vda": root}, port, console, running.qmp)
        guest.wait_until_up()
        guest.disks |= dict(zip(guest.names(), others, strict=True))
        yield guest


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
