"""Real QEMU processes, running no more than firmware or a boot sector: seconds each."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rehost.core.errors import MachineError, MissingProgramError
from rehost.machine import accel, programs, serial
from rehost.machine.process import start
from rehost.machine.qemu import Bus, Disk, Machine

# Writes "ok" and a line end to the first serial port, then ends QEMU through the debug exit port.
HELLO = bytes.fromhex("baf803b06feeb06beeb00deeb00aeeba0105b02aeef4ebfd").ljust(510, b"\0") + b"\x55\xaa"
SLEEP = bytes.fromhex("faf4ebfc").ljust(510, b"\0") + b"\x55\xaa"
DEBUG_EXIT = ("-device", "isa-debug-exit,iobase=0x501,iosize=1")


def machine(tmp_path: Path, sector: bytes, **more: object) -> Machine:
    disk = tmp_path / "boot.img"
    disk.write_bytes(sector.ljust(1 << 20, b"\0"))
    base: dict[str, object] = {"memory": 32, "disks": (Disk(disk, bus=Bus.IDE, throwaway=True),)}
    return Machine("test", **{**base, **more})  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_boot_sector_runs_to_its_end_and_its_console_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "serial.log"
    with start(machine(tmp_path, HELLO, serial=log, extra=DEBUG_EXIT), accel.EMULATION) as running:
        assert serial.wait_for(log, r"^ok$", 30, running.running)
        assert running.wait(30) == accel.SUCCESS
    assert "ok" in serial.tail(log)


def test_leaving_the_context_ends_the_process_and_removes_its_folder(tmp_path: Path) -> None:
    with start(machine(tmp_path, SLEEP, screen=True), accel.EMULATION) as running:
        folder, pid = running.sockets.folder, running.pid
        assert int(running.sockets.pidfile.read_text()) == pid
        assert running.qmp.execute("query-status")["status"] == "running"
        running.qmp.screenshot(tmp_path / "screen.png")
        with pytest.raises(MachineError, match="refused the command no-such"):
            running.qmp.execute("no-such")
    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")
    assert not alive(pid)
    assert not folder.exists()
    running.close()


def test_an_error_of_qemu_is_told_in_its_own_words(tmp_path: Path) -> None:
    missing = Machine("test", disks=(Disk(tmp_path / "nothing.qcow2", "qcow2"),))
    with pytest.raises(MachineError, match=r"nothing\.qcow2.*No such file"):
        start(missing, accel.EMULATION)


def test_a_stopped_qemu_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehost.machine.process.END_DEADLINE", 0.3)
    monkeypatch.setattr("rehost.machine.qmp.QUIT_TIMEOUT", 0.3)
    running = start(machine(tmp_path, SLEEP), accel.EMULATION)
    os.kill(running.pid, signal.SIGSTOP)
    running.close()
    assert not alive(running.pid)


def test_it_does_not_outlive_its_parent(tmp_path: Path) -> None:
    (tmp_path / "boot.img").write_bytes(SLEEP.ljust(1 << 20, b"\0"))
    program = f"""
import os, sys, time
from pathlib import Path
from rehost.machine.process import start
from rehost.machine.qemu import Bus, Disk, Machine
disk = Disk(Path({str(tmp_path / "boot.img")!r}), bus=Bus.IDE)
running = start(Machine("orphan", memory=32, disks=(disk,)), "tcg,thread=multi")
print(running.pid, running.sockets.folder, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        assert alive(int(pid))
        parent.kill()
    deadline = time.monotonic() + 10
    while alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(pid))
    subprocess.run(["rm", "-r", folder], check=True)


def test_waiting_has_a_deadline(tmp_path: Path) -> None:
    with (
        start(machine(tmp_path, SLEEP), accel.EMULATION) as running,
        pytest.raises(MachineError, match="did not end within"),
    ):
        running.wait(0.2)


def test_the_guest_agent_of_a_guest_without_one(tmp_path: Path) -> None:
    with (
        start(machine(tmp_path, SLEEP, guest_agent=True), accel.EMULATION) as running,
        running.guest_agent() as agent,
    ):
        assert not agent.wait(0.5)
        with pytest.raises(MachineError, match="did not answer"):
            agent.call("guest-ping", timeout=0.2)


def test_missing_programs_name_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(programs, "_MORE_FOLDERS", ())
    with pytest.raises(MissingProgramError, match=r"qemu-system-x86_64.*apt-get install qemu-system-x86"):
        programs.find("qemu-system-x86_64")
