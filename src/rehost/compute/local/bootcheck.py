"""Booting an image before anybody relies on it: cut off from any network, on disks that forget."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from rehost.block.durable import make_folder, write_file
from rehost.compute.driver import BootEvidence, BootVerdict, CommandResult, Image
from rehost.compute.local.examine import Examined, examine, photograph
from rehost.compute.local.watch import Seen, watch
from rehost.core.errors import BootCheckError
from rehost.machine import accel, serial
from rehost.machine.process import start
from rehost.machine.qemu import Disk, Machine, Nic

MEMORY = 1024  # MiB
CPUS = 2
FIRMWARE_PORT = 0x402  # where SeaBIOS says what it does
LEAST = 60.0  # seconds that questions and the job's command have, however long the boot took

SERIAL_LOG, FIRMWARE_LOG = "serial.log", "firmware.log"
VERDICT, OUTPUT = "verdict.json", "output.txt"


@dataclass(frozen=True, slots=True)
class Outcome:
    evidence: BootEvidence
    error: BootCheckError | None  # why the boot does not prove the image


def boot_check(image: Image, cache: Path, command: str, deadline: float) -> Outcome:
    """Boot once and write the evidence to the image's boot folder; verdict.json comes last."""
    folder = image.boot_folder
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    accelerator = accel.choose(cache)
    begin = time.monotonic()
    with start(_machine(image), accelerator) as running:
        seen = watch(lambda: _console(folder), running.running, deadline)
        left = max(deadline - (time.monotonic() - begin), LEAST)
        booted = seen.verdict.ok
        examined = examine(running, folder, command, left) if booted else photograph(running, folder)
    if booted and command:
        seen = _with_command(seen, command, examined)
    evidence = _evidence(seen.verdict, examined, round(time.monotonic() - begin, 2), accelerator)
    _write(folder, evidence)
    return Outcome(evidence, _error(image, seen))


def evidence_of(image: Image) -> BootEvidence | None:
    """What the image's last boot check wrote; None before there was one."""
    file = image.boot_folder / VERDICT
    return msgspec.json.decode(file.read_bytes(), type=BootEvidence) if file.exists() else None


def _machine(image: Image) -> Machine:
    """The machine that a migrated server is to run on, without a way out and with nothing kept."""
    firmware = str(image.boot_folder / FIRMWARE_LOG).replace(",", ",,")
    return Machine(
        name=image.id,
        memory=MEMORY,
        cpus=CPUS,
        disks=tuple(Disk(disk.path, "qcow2", throwaway=True, cache="unsafe") for disk in image.disks),
        nics=(Nic(image.mac, restrict=True),),
        serial=image.boot_folder / SERIAL_LOG,
        guest_agent=True,
        screen=True,
        extra=(
            *("-chardev", f"file,id=firmware,path={firmware}"),
            *("-device", f"isa-debugcon,iobase={FIRMWARE_PORT},chardev=firmware"),
        ),
    )


def _console(folder: Path) -> str:
    """Firmware first: it speaks on a port of its own."""
    return serial.read(folder / FIRMWARE_LOG) + "\n" + serial.read(folder / SERIAL_LOG)


def _with_command(seen: Seen, command: str, examined: Examined) -> Seen:
    """The job's command has the last word on a guest that reached its login prompt."""
    if (result := examined.command) is None:
        verdict, advice = f"boot check command: {examined.guest_problem}", _NO_AGENT
    elif result.exit_code:
        verdict, advice = f"boot check command: exit code {result.exit_code}", _last_words(result)
    else:
        return seen
    return Seen(BootVerdict(False, verdict, seen.verdict.milestones), advice)


_NO_AGENT = "install qemu-guest-agent on the source, or leave out boot_check_command"


def _last_words(result: CommandResult) -> str:
    lines = result.output.strip().splitlines()[-3:]
    return f"`{result.command}` ended with: {' / '.join(lines) or 'no output'}"


def _evidence(verdict: BootVerdict, examined: Examined, seconds: float, accelerator: str) -> BootEvidence:
    return BootEvidence(
        verdict=verdict,
        seconds=seconds,
        accelerator=accelerator,
        guest=examined.guest,
        guest_problem=examined.guest_problem,
        command=examined.command,
        screenshot=examined.screenshot,
        screen_black=examined.screen_black,
    )


def _write(folder: Path, evidence: BootEvidence) -> None:
    """The command's output goes to a file of its own; it may be long."""
    if evidence.command is not None:
        write_file(folder / OUTPUT, evidence.command.output.encode())
        evidence = replace(evidence, command=replace(evidence.command, output=""))
    text = msgspec.json.format(msgspec.json.encode(evidence), indent=2)
    write_file(folder / VERDICT, text)


def _error(image: Image, seen: Seen) -> BootCheckError | None:
    if seen.verdict.ok:
        return None
    reached = seen.verdict.milestones
    after = f" ({reached[-1].name} reached after {reached[-1].seconds:.0f} s)" if reached else ""
    return BootCheckError(
        f"the image {image.id} failed its boot check: {seen.verdict.verdict}{after}",
        f"{seen.advice}; the evidence is in {image.boot_folder}",
    )
