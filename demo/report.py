"""The demo's last page: what was done, what it cost, what proves it, and what to type next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from demo.phases import Phases
from demo.records import Proof
from rehost.compute.driver import BootEvidence, Image
from rehost.core.agentapi import RunReport
from rehost.core.round import RoundKind
from rehost.core.units import bytes_text


@dataclass(frozen=True, slots=True)
class Outcome:
    data: Path
    image: Image
    run: RunReport
    boot: BootEvidence
    proof: Proof
    disk_sizes: int  # bytes of the source's disks
    job: str


def show(console: Console, phases: Phases, outcome: Outcome) -> None:
    console.print()
    console.print(_table("Time", ((name, f"{seconds:.1f} s") for name, seconds in phases.durations)))
    console.print(f"  all together {phases.total():.0f} s", highlight=False)
    console.print(_table("Copy", _copy(outcome)))
    console.print(_table("Proof", _proof(outcome)))
    console.print(_table("Result", _result(outcome)))
    console.print(Panel.fit("\n".join(_next(outcome)), title="Next"), highlight=False, soft_wrap=True)


def _copy(outcome: Outcome) -> Iterator[tuple[str, str]]:
    run = outcome.run
    yield "disks", bytes_text(outcome.disk_sizes)
    yield "of these in use", bytes_text(run.used)
    yield "read", bytes_text(run.read)
    yield "sent", bytes_text(run.sent)
    for each in run.rounds:
        sizes = [(each.read, "read"), (each.changed, "changed"), (each.sent, "sent")]
        if each.kind is RoundKind.BASELINE:
            del sizes[1]  # all of the disks: what is not in use becomes zeros
        words = ", ".join(f"{bytes_text(size)} {what}" for size, what in sizes)
        yield f"round {each.number}, {each.kind}", f"{each.seconds:.1f} s: {words}"
    yield "file systems frozen for", f"{run.freeze_seconds:.3f} s, all together {run.held_seconds:.3f} s"


def _proof(outcome: Outcome) -> Iterator[tuple[str, str]]:
    proof, boot = outcome.proof, outcome.boot
    yield "image", f"login prompt after {_login(boot):.0f} s on virtio hardware without a network"
    if boot.guest is not None:
        yield "its system", f"{boot.guest.system}; {', '.join(_ipv4(boot.guest.addresses))}"
    yield "its data disk", "every file has the source's checksum"
    yield "its recorder", f"runs, and went on with {proof.written_by_image} records of its own"
    yield "records in the image", f"the first {proof.copied} of the source's, none missing, none torn"
    yield "source", f"never stopped: {proof.after_freeze} records since the freeze, none missing"
    yield "wait at the freeze", f"{proof.pause:.2f} s for one write (usually {proof.usual_pause:.2f} s)"


def _ipv4(addresses: Sequence[str]) -> list[str]:
    return [address for address in addresses if ":" not in address]


def _login(boot: BootEvidence) -> float:
    return boot.verdict.milestones[-1].seconds if boot.verdict.milestones else boot.seconds


def _result(outcome: Outcome) -> Iterator[tuple[str, str]]:
    image = outcome.image
    yield "image", image.id
    yield "folder", str(image.folder)
    yield "what was changed in it", str(image.folder / "report.json")
    yield "its screen", str(image.boot_folder / (outcome.boot.screenshot or "screen.png"))
    yield "its serial log", str(image.boot_folder / "serial.log")


def _next(outcome: Outcome) -> Iterator[str]:
    data, image = outcome.data, outcome.image.id
    yield f".venv/bin/rehost image show {image} --data {data}"
    yield f".venv/bin/rehost image boot {image} --data {data}"
    yield f".venv/bin/rehost image export {image} --data {data} --help"
    yield "and a server of your own: README.md, “A first real migration”"


def _table(title: str, rows: Iterator[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
