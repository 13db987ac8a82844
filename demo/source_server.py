"""The source machine at work: a virtual machine that reaches the control plane and nothing else."""

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from demo.source_machine import SourceMachine
from rehost.core.errors import MachineError
from rehost.machine import process, serial
from rehost.machine.programs import find
from rehost.machine.qemu import Bus, Disk, GuestForward, Machine, Nic, PortForward

CONTROL_PLANE = "10.0.2.100"  # where the guest finds the control plane
MAC = "52:54:00:12:34:56"
SLOT = 5  # makes the card ens5; on the target's hardware it would be another one
BOOT_DEADLINE = 240.0
LOOK = 0.5
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Result:
    status: int
    output: bytes
    error_output: str


class SourceServer:
    """Boots on overlays in `folder`; a context manager that ends the machine."""

    def __init__(self, source: SourceMachine, folder: Path, ports: tuple[int, ...], accelerator: str) -> None:
        """`ports`: TCP ports of this host's loopback address that the guest reaches at CONTROL_PLANE."""
        self.console = folder / "source-console.log"
        self._key = source.ssh_key
        self._ssh_port = _free_port()
        self._running = process.start(self._machine(source, folder, ports), accelerator)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running.running():
            self._hang_up()
        self._running.close()

    def wait_for_login(self, not_boot: str = "") -> None:
        """MachineError with the console's last lines when nobody can log in within the deadline.

        `not_boot`: the id of a boot that is not meant.
        """
        deadline = time.monotonic() + BOOT_DEADLINE
        while time.monotonic() < deadline and self._running.running():
            said = self._run(f"cat {BOOT_ID}")
            if said.status == 0 and said.output.decode().strip() != not_boot:
                return
            time.sleep(LOOK)
        raise MachineError(
            f"the source machine did not come up within {BOOT_DEADLINE:.0f} s; its console ends with:\n"
            + serial.tail(self.console, 5),
            f"the whole console is in {self.console}",
        )

    def run(self, command: str, timeout: float = 120.0) -> bytes:
        """A shell command as root; its output. MachineError when it fails."""
        result = self._run(command, timeout)
        if result.status:
            words = result.error_output.strip() or result.output.decode(errors="replace").strip()
            raise MachineError(
                f"on the source, `{command}` ended with status {result.status}: {words[-500:]}"
            )
        return result.output

    def boot_id(self) -> str:
        return self.run(f"cat {BOOT_ID}").decode().strip()

    def restart(self) -> None:
        """Reboot it in order, and wait until one can log in again."""
        before = self.boot_id()
        self.run("systemctl stop ssh; systemctl --no-block reboot")  # nobody gets in while it goes down
        self._hang_up()
        self.wait_for_login(not_boot=before)

    def send(self, file: Path, target: str) -> None:
        """Copy a file of this host into the machine."""
        with file.open("rb") as content:
            command = [*self._ssh(), "demo", f"cat >{target}"]
            subprocess.run(command, stdin=content, check=True, capture_output=True, timeout=300)

    def _run(self, command: str, timeout: float = 30.0) -> Result:
        try:
            done = subprocess.run(
                [*self._ssh(), "demo", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return Result(124, b"", f"no end within {timeout:.0f} s")
        return Result(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def _hang_up(self) -> None:
        subprocess.run([*self._ssh(), "-O", "exit", "demo"], capture_output=True, timeout=10)

    def _ssh(self) -> list[str]:
        """One connection is kept open for all commands: under emulation a new one costs seconds."""
        options = (
            *("HostName=127.0.0.1", f"Port={self._ssh_port}", "User=root", f"IdentityFile={self._key}"),
            *(
                "IdentitiesOnly=yes",
                "BatchMode=yes",
                "StrictHostKeyChecking=no",
                "UserKnownHostsFile=/dev/null",
            ),
            *("ConnectTimeout=10", "LogLevel=ERROR", "ControlMaster=auto", "ControlPersist=yes"),
            f"ControlPath={self._running.sockets.folder}/ssh",
        )
        return [str(find("ssh")), "-F", "none", *(word for option in options for word in ("-o", option))]

    def _machine(self, source: SourceMachine, folder: Path, ports: tuple[int, ...]) -> Machine:
        relay = find("busybox")
        return Machine(
            name="rehost-demo-source",
            memory=1024,
            cpus=2,
            disks=(
                # Linux probes the disks of one driver all at once; which one is sda is a matter of luck. The
                # second controller's driver is not in the initramfs, so that its disk comes second.
                Disk(_overlay(source.system_disk, folder), "qcow2", Bus.SATA, cache="unsafe"),
                Disk(_overlay(source.data_disk, folder), "qcow2", Bus.IDE, cache="unsafe"),
            ),
            nics=(
                Nic(
                    MAC,
                    "e1000",
                    restrict=True,
                    slot=SLOT,
                    port_forwards=(PortForward(self._ssh_port, 22),),
                    guest_forwards=tuple(
                        GuestForward(CONTROL_PLANE, port, f"{relay} nc 127.0.0.1 {port}") for port in ports
                    ),
                ),
            ),
            serial=self.console,
            random=False,
        )


def _overlay(disk: Path, folder: Path) -> Path:
    overlay = folder / f"source-{disk.stem}.qcow2"
    create = [str(find("qemu-img")), "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk.resolve())]
    subprocess.run([*create, str(overlay)], check=True, capture_output=True)
    return overlay


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
