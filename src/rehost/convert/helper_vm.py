"""The helper VM: a small Debian that takes disks and a job, changes the disks and answers.

Whatever has to mount a guest's file systems happens in it, so that the host needs neither root nor drivers.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rehost.convert import job_tar
from rehost.convert.helper_build import HelperVm, Progress
from rehost.core.errors import ConversionError
from rehost.machine import serial
from rehost.machine.process import start
from rehost.machine.qemu import Channel, Disk, Kernel, Machine

MEMORY = 768  # MiB: an initramfs of 100 MB is held twice, e2fsck of a large file system needs the rest
DEADLINE = 900.0  # seconds for a job; under emulation it takes half a minute
CMDLINE = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr audit=0 random.trust_cpu=on cryptomgr.notests "
    "no_timer_check"  # the check fails on hosts that are busy, and the kernel panics then
)
LOG_NAME = "helper-vm.log"  # the console
RESULT_PORT = "org.rehost.result"


def run(
    vm: HelperVm,
    disks: Mapping[str, Path],
    job: Mapping[str, Any],
    files: Sequence[Path],
    work: Path,
    *,
    accelerator: str,
    progress: Progress = lambda _: None,
    deadline: float = DEADLINE,
) -> dict[str, Any]:
    """Boot with qcow2 disks (by serial number), carry out the job, return the answer.

    `files` are unpacked as `files/<name>` beside the job. `work` keeps helper-vm.log, the console.
    ConversionError when the job fails, the machine ends without an answer, or the deadline passes.
    """
    work.mkdir(parents=True, exist_ok=True)
    log, answers, tar = work / LOG_NAME, work / "helper-vm.answer", work / "helper-vm.job"
    log.unlink(missing_ok=True)
    answers.write_bytes(b"")
    with tar.open("wb") as output:
        job_tar.write(output, job, files)
    machine = _machine(vm, disks, tar, log, answers)
    try:
        with start(machine, accelerator) as running:
            ended = _watch(running.running, answers, deadline, progress)
    finally:
        tar.unlink()
    return _answer(answers, log, ended, deadline)


def _machine(vm: HelperVm, disks: Mapping[str, Path], tar: Path, log: Path, answers: Path) -> Machine:
    # Flushes of the guest are ignored: if the host dies the work starts again from fresh overlays.
    work_disks = [Disk(path, "qcow2", serial=name, cache="unsafe") for name, path in disks.items()]
    own = [
        Disk(vm.system, read_only=True, serial="rehost-system"),
        Disk(tar, read_only=True, serial="rehost-job"),
    ]
    return Machine(
        "rehost-helper",
        memory=MEMORY,
        cpus=2,
        disks=(*work_disks, *own),
        kernel=Kernel(vm.kernel, vm.initrd, CMDLINE),
        serial=log,
        channels=(Channel(RESULT_PORT, answers),),
        reboots=False,
    )


def _watch(running: Callable[[], bool], answers: Path, deadline: float, progress: Progress) -> bool:
    """Hand progress on until the machine ends; False when the deadline passes first."""
    end, told = time.monotonic() + deadline, 0
    while True:
        alive = running()
        messages = _messages(answers)
        for message in messages[told:]:
            if "progress" in message:
                progress(message["progress"])
        told = len(messages)
        if not alive or time.monotonic() > end:
            return not alive
        time.sleep(0.1)


def _messages(answers: Path) -> list[dict[str, Any]]:
    whole, _, _ = answers.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines()]


def _answer(answers: Path, log: Path, ended: bool, deadline: float) -> dict[str, Any]:
    for message in _messages(answers):
        if "answer" in message:
            answer: dict[str, Any] = message["answer"]
            return answer
        if "error" in message:
            raise ConversionError(message["error"]["what"], message["error"]["advice"] or f"the log is {log}")
    what = "ended without an answer" if ended else f"did not end within {deadline:.0f} s"
    raise ConversionError(
        f"the helper VM {what}; its last words: {serial.tail(log) or 'none'}",
        f"the log is {log}; start the job again to repeat the conversion",
    )
