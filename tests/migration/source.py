"""This host as a source server: the demo's disks on loop devices, a recorder at work, an agent's process."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from demo import source_machine
from demo.control_plane import PROGRAM
from tests.loopdisks import LoopDisks, run

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PAUSE = "0.2"  # seconds between two records


class Agent:
    """The agent of some disks, with a state folder (elsewhere if `state` says where) and a log of its own.

    `prefix` is a command that runs it.
    """

    def __init__(
        self, folder: Path, *disks: str, prefix: Sequence[str] = (), state: Path | None = None
    ) -> None:
        folder.mkdir()
        self._prefix = prefix
        self.log = folder / "agent.log"
        self.state = state or folder / "state"
        self._disks = [word for disk in disks for word in ("--disk", disk)]
        self.process: subprocess.Popen[bytes] | None = None

    def register(self, endpoint: str, ca: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
        words = ["register", *options, "--endpoint", endpoint, "--ca", str(ca), *self._disks, code]
        return subprocess.run(self._command(*words), capture_output=True, text=True, check=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command("run", *self._disks), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL

    def close(self) -> None:
        """What its init system does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def _command(self, *words: str) -> list[str]:
        """Where this host's own firmware does not show: the disks are those of a machine with BIOS."""
        hide = 'mount -t tmpfs none /sys/firmware && exec "$@"'
        agent = [*self._prefix, str(PROGRAM), "agent", "--state", str(self.state), *words]
        return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", hide, "sh", *agent]


class SourceServer:
    """Its system disk and data disk, mounted, and a service that writes records to the first one."""

    def __init__(self, folder: Path, cache: Path, disks: LoopDisks) -> None:
        pristine = source_machine.build(cache)
        self.disks = tuple(
            _attach(disks, image, folder) for image in (pristine.system_disk, pristine.data_disk)
        )
        self.mounts = (disks.mount(f"{self.disks[0]}p1"), disks.mount(f"{self.disks[1]}p1", "-o", "noatime"))
        _name_by_uuid(self.mounts[0], self.disks[0])
        self._records = self.mounts[0] / source_machine.RECORDS.lstrip("/")
        self._records.parent.mkdir()
        recorder = ["perl", str(source_machine.FILES / "recorder"), str(self._records), PAUSE]
        self._process = subprocess.Popen(recorder)
        self.recorder = self._process.pid

    def records(self) -> bytes:
        """All that are whole: what is being written just now may be there in part."""
        assert self._process.poll() is None, "the service was not disturbed"
        content = self._records.read_bytes()
        return content[: content.rfind(b"\n") + 1]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def _attach(disks: LoopDisks, image: Path, folder: Path) -> str:
    """A copy of a disk, attached with its partitions."""
    copy = folder / image.name
    run("cp", "--sparse=always", image, copy)
    path = disks.attach(copy)
    run("partx", "--update", path)  # for kernels that do not read partition tables themselves
    return path


def _name_by_uuid(root: Path, disk: str) -> None:
    """On the source the disks are sda and sdb, for the agent here loop devices; UUIDs hold for both."""
    uuids = {f"/dev/sda{n}": run("blkid", "-o", "value", "-s", "UUID", f"{disk}p{n}") for n in (1, 2)}
    for name in ("etc/fstab", "etc/initramfs-tools/conf.d/resume", "boot/grub/grub.cfg"):
        text = (root / name).read_text()
        for device, uuid in uuids.items():
            text = text.replace(device, f"UUID={uuid}")
        (root / name).write_text(text.replace("/dev/sdb1", "LABEL=data"))
    (root / "etc/network/interfaces").write_text("auto lo\niface lo inet loopback\n")
