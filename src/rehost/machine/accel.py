"""Which accelerator virtual machines run on: KVM only where a guest has really run on it."""

import os
import select
import subprocess
import tempfile
from pathlib import Path

from rehost.machine.programs import find
from rehost.machine.qemu import DEBUG_EXIT_PORT

KVM = "kvm"
EMULATION = "tcg,thread=multi"
# Times the CPU seconds of emulation, which takes 0.1 s for the boot sector; a sound KVM takes 0.2 s by the
# clock. There is a KVM that takes 2.1 s of CPU, and no kernel gets further on it. Measured by the clock it
# passed once, when a busy host had held emulation up for as long.
SLOWEST = 8
DEADLINE = 60.0  # seconds

# A boot sector that waits for a timer interrupt, sets up page tables, enters long mode, counts to a million
# in memory and writes 0x2A to the debug exit port. Each of it fails somewhere: there are hosts whose /dev/kvm
# opens, runs real mode and hangs as soon as a kernel pages. Assembly in tests/machine/probe.S.
BOOT_SECTOR = (
    bytes.fromhex(
        "31c08ed88ec08ed0bc007cfba16c043b066c0474fafafcbf0010b9001831c0f3abc70600100320c70600200330c706003083000f"
        "20e00c200f22e066b8001000000f22d866b9800000c00f32660d000100000f300f0116987c0f20c0660d010000800f22c0ea6a7c"
        "0800b940420f0048ff042500500000e2f666ba0105b02aeef4ebfd0f1f440000000000000000000000000000009a20000f00887c"
        "0000"
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)
SUCCESS = 0x2A * 2 + 1


def choose(cache: Path) -> str:
    """ "kvm" or "tcg,thread=multi"; found out once per boot of this host and kept in the cache folder."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kept = cache / f"accelerator-{boot_id}"
    if kept.exists():
        return kept.read_text()
    answer = KVM if os.access("/dev/kvm", os.R_OK | os.W_OK) and _is_fast(KVM) else EMULATION
    _keep(kept, answer)
    return answer


def _is_fast(accelerator: str) -> bool:
    emulation, asked = probe(EMULATION, DEADLINE), probe(accelerator, DEADLINE)
    return asked is not None and (emulation is None or asked <= SLOWEST * emulation)


def probe(accelerator: str, deadline: float) -> float | None:
    """CPU seconds that a tiny guest takes to its end; None if it does not come there within `deadline`
    seconds."""
    with tempfile.NamedTemporaryFile(prefix="rehost-probe-") as sector:
        sector.write(BOOT_SECTOR)
        sector.flush()
        argv = [
            *(str(find("qemu-system-x86_64")), "-accel", accelerator, "-m", "16"),
            *("-cpu", "host" if accelerator == KVM else "max"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT},iosize=1"),
            *("-drive", f"file={sector.name},format=raw,if=ide,snapshot=on"),
        ]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_or_kill(process, deadline)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime if process.returncode == SUCCESS else None


def _wait_or_kill(process: "subprocess.Popen[bytes]", deadline: float) -> None:
    """The process is not reaped: its usage is still to be read."""
    handle = os.pidfd_open(process.pid)
    try:
        if not select.select([handle], [], [], deadline)[0]:
            process.kill()
    finally:
        os.close(handle)


def _keep(file: Path, answer: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".accelerator-", delete=False) as fresh:
        fresh.write(answer)
    os.replace(fresh.name, file)
