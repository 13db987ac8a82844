"""Boot checks of real machines: a tiny guest that comes up, and ones that cannot."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo import source_machine
from rehost.compute import picture
from rehost.compute.driver import ImageState, mac_of
from rehost.compute.local import LocalDriver, examine
from rehost.compute.local.images import Base, Images
from rehost.core.errors import BootCheckError
from tests.compute.replicas import sealed
from tests.compute.tinyguest import TinyGuest

pytestmark = pytest.mark.vm


def image_of(local: LocalDriver, disk: Path) -> None:
    sealed(local, "j-1", disk.read_bytes())
    local.create_image("m-1", "j-1", "tiny")


def verdict_of(local: LocalDriver) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((local.image("m-1").boot_folder / "verdict.json").read_text())
    return found


@pytest.fixture
def guest(local: LocalDriver, tiny: TinyGuest, tmp_path: Path) -> LocalDriver:
    image_of(local, tiny.disk(tmp_path / "tiny.raw"))
    return local


@pytest.fixture
def listener() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port on this host, and who has come to it."""
    came: list[socket.socket] = []
    with socket.create_server(("0.0.0.0", 0)) as server:

        def accept() -> None:
            try:
                came.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for connection in came:
        connection.close()


def test_a_guest_that_boots_is_proven_and_its_image_unchanged(guest: LocalDriver) -> None:
    folder = guest.image("m-1").boot_folder
    folder.mkdir()
    (folder / "command-left-by-a-killed-check").touch()
    disk = guest.image("m-1").disks[0].path
    before = hashlib.sha256(disk.read_bytes()).digest()
    command = "cat /sys/class/net/eth0/address; dd if=/dev/zero of=/dev/vda bs=1M count=8 && sync"
    evidence = guest.boot_check("m-1", command=command)

    assert evidence.verdict.ok
    stages = [milestone.name for milestone in evidence.verdict.milestones]
    assert stages == ["firmware", "boot loader", "kernel", "userspace", "login"]
    seconds = [milestone.seconds for milestone in evidence.verdict.milestones]
    assert seconds == sorted(seconds)
    assert evidence.guest is not None
    assert evidence.guest.system == "degraded"
    assert evidence.guest.failed_units == ("broken.service",)
    assert "eth0 10.0.2.15/24" in evidence.guest.addresses
    assert evidence.command is not None
    assert evidence.command.output.splitlines()[0] == mac_of("m-1")

    assert sorted(file.name for file in folder.iterdir()) == [
        "firmware.log",
        "output.txt",
        "screen.png",
        "serial.log",
        "verdict.json",
    ]
    assert not picture.is_black((folder / "screen.png").read_bytes())
    assert not evidence.screen_black
    assert "tiny login:" in (folder / "serial.log").read_text()
    assert (folder / "output.txt").read_text() == evidence.command.output
    assert guest.boot_evidence("m-1").verdict == evidence.verdict  # type: ignore[union-attr]
    assert hashlib.sha256(disk.read_bytes()).digest() == before
    assert guest.finish_image("m-1").state is ImageState.READY


def test_the_guest_has_no_way_out(guest: LocalDriver, listener: tuple[int, list[socket.socket]]) -> None:
    port, came = listener
    tries = " ".join(f"nc -w 3 {host} {port} </dev/null && echo REACHED {host};" for host in _addresses())
    evidence = guest.boot_check("m-1", command=f"{tries} true")
    assert evidence.command is not None
    assert "REACHED" not in evidence.command.output
    assert came == []


def test_the_listener_of_the_test_above_hears(listener: tuple[int, list[socket.socket]]) -> None:
    port, came = listener
    for host in _addresses()[1:]:
        socket.create_connection((host, port)).close()
    assert _soon(lambda: came)


def test_a_command_that_fails_fails_the_image_and_keeps_its_output(guest: LocalDriver) -> None:
    with pytest.raises(BootCheckError, match=r"exit code 3.*`echo .*the shop is closed") as failed:
        guest.boot_check("m-1", command="echo the shop is closed; exit 3")
    image = guest.image("m-1")
    assert image.state is ImageState.FAILED
    assert "exit code 3" in image.error
    assert str(image.boot_folder) in failed.value.advice
    assert (image.boot_folder / "output.txt").read_text() == "the shop is closed\n"
    assert verdict_of(guest)["verdict"]["ok"] is False


def test_a_command_needs_a_guest_agent(
    local: LocalDriver, tiny: TinyGuest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "AGENT_NEEDED", 5.0)
    image_of(local, tiny.disk(tmp_path / "tiny.raw", cmdline="agent=off"))
    with pytest.raises(BootCheckError, match="no guest agent answered") as failed:
        local.boot_check("m-1", command="true")
    assert "qemu-guest-agent" in failed.value.advice


def test_without_a_command_no_guest_agent_is_needed(
    local: LocalDriver, tiny: TinyGuest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "AGENT_GRACE", 2.0)
    image_of(local, tiny.disk(tmp_path / "tiny.raw", cmdline="agent=off"))
    evidence = local.boot_check("m-1")
    assert evidence.verdict.ok
    assert evidence.guest is None
    assert "no guest agent" in evidence.guest_problem


def test_an_empty_disk(local: LocalDriver) -> None:
    sealed(local, "j-1", bytes(4 << 20))
    local.create_image("m-1", "j-1", "empty")
    with pytest.raises(BootCheckError, match="firmware: no bootable device"):
        local.boot_check("m-1")
    assert local.image("m-1").state is ImageState.FAILED
    assert not picture.is_black((local.image("m-1").boot_folder / "screen.png").read_bytes())
    assert [m["name"] for m in _milestones(local)] == ["firmware"]


def test_a_kernel_without_its_root(local: LocalDriver, tiny: TinyGuest, tmp_path: Path) -> None:
    disk = tiny.disk(tmp_path / "tiny.raw", cmdline="root=/dev/sda1", with_initrd=False)
    image_of(local, disk)
    with pytest.raises(BootCheckError, match="kernel: root device missing"):
        local.boot_check("m-1")
    assert _milestones(local)[-1]["name"] == "kernel"


def test_a_guest_that_hangs_runs_out_of_time(local: LocalDriver, tiny: TinyGuest, tmp_path: Path) -> None:
    image_of(local, tiny.disk(tmp_path / "tiny.raw", cmdline="hang=on"))
    with pytest.raises(BootCheckError, match="timeout after userspace"):
        local.boot_check("m-1", deadline=15)


def test_a_server_that_was_not_converted(local: LocalDriver, cache: Path, tmp_path: Path) -> None:
    """The negative control of all conversions: its initramfs knows SATA only, its fstab says /dev/sda1."""
    replica = tmp_path / "data/replicas/j-1"
    replica.mkdir(parents=True)
    source = source_machine.build(cache).system_disk
    (replica / "disk-0.raw").symlink_to(source)
    images = Images(tmp_path / "data/images")
    base = Base(0, replica / "disk-0.raw", "raw", source.stat().st_size)
    images.create(images.describe("m-1", "j-1", "r-1", "shop", "", ""), [base], {})
    with pytest.raises(BootCheckError, match="initramfs: root device missing"):
        local.boot_check("m-1")


def test_a_check_that_is_killed_leaves_no_machine_and_can_be_done_again(
    guest: LocalDriver, tmp_path: Path
) -> None:
    script = (
        f"from rehost.compute.local import *; LocalDriver(Path({str(tmp_path / 'data')!r})).boot_check('m-1')"
    )
    with subprocess.Popen([sys.executable, "-c", f"from pathlib import Path; {script}"]) as process:
        firmware = guest.image("m-1").boot_folder / "firmware.log"
        assert _soon(lambda: firmware.exists() and firmware.stat().st_size)
        machines = _machines_on(tmp_path)
        process.kill()
    assert machines
    assert _soon(lambda: not _machines_on(tmp_path))
    assert guest.boot_check("m-1").verdict.ok


def _machines_on(folder: Path) -> list[Path]:
    """QEMU processes with a disk below the folder."""
    return [place for place in Path("/proc").glob("[0-9]*") if _runs_on(place, folder)]


def _runs_on(place: Path, folder: Path) -> bool:
    try:
        words = (place / "cmdline").read_bytes()
    except OSError:  # it ended
        return False
    return b"qemu-system" in words.partition(b"\0")[0] and str(folder).encode() in words


def _milestones(local: LocalDriver) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = verdict_of(local)["verdict"]["milestones"]
    return found


def _addresses() -> list[str]:
    """QEMU's own name for this host, and this host's addresses."""
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    return ["10.0.2.2", *[address for address in listed if "." in address][:1]]


def _soon(condition: Callable[[], object], tries: int = 400) -> bool:
    return any(condition() or threading.Event().wait(0.05) for _ in range(tries))
