"""The second run of a job: it reads what was written since the first, whoever was killed in between, and
compares digests when that is not known."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from rehost.agent.copy import checkpoint
from rehost.agent.copy.run import Settings
from rehost.block.durable import write_file
from rehost.block.layer import chain
from rehost.block.replica import open_replica
from rehost.compute.driver import VolumeSpec
from rehost.compute.local.replicas import Replicas
from rehost.core.agentapi import RunOptions, RunReport
from rehost.core.round import RoundKind
from rehost.track import pins
from tests.agent import agent_process
from tests.agent.agent_process import Outcome, Task
from tests.agent.copying import CHUNK, Lab, lab, snapshot
from tests.loopdisks import LoopDisk, LoopDisks, run, write

MIB = 1 << 20
SIZE = 64 * MIB
CELL = 16 << 10  # what write tracking tells of, on a disk of this size


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir()
    yield folder
    checkpoint.forget(folder)


@pytest.fixture
def full(disks: LoopDisks) -> LoopDisk:
    """Without a file system, so that all of it is used."""
    disk = disks.make(SIZE)
    write(disk, 0, SIZE)
    return disk


def again(site: Lab, before: RunReport) -> Lab:
    """The next run of the job, on what the run before left."""
    return replace(site, base_roots=before.roots)


def process(site: Lab, state: Path, rate: float = 0.0) -> "subprocess.Popen[bytes]":
    ca = (site.site.data / "keys" / "server.crt").read_text()
    task = Task(site.assignment, ca, rate=rate, state=str(state))
    return subprocess.Popen(
        [sys.executable, agent_process.__file__, msgspec.json.encode(task).decode()],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )


def outcome_of(agent: "subprocess.Popen[bytes]") -> RunReport:
    output, _ = agent.communicate(timeout=120)
    outcome = msgspec.json.decode(output, type=Outcome)
    assert outcome.report is not None, outcome.error
    return outcome.report


@contextmanager
def killed_while_it_copies(site: Lab, state: Path) -> Iterator[None]:
    """An agent that reads slowly, killed when some of its chunks are durable."""
    before = journal(site)
    agent = process(site, state, rate=2.0 * MIB)
    try:
        for _ in range(600):
            if journal(site) != before:
                break
            time.sleep(0.05)
        assert journal(site) != before
        yield
    finally:
        agent.send_signal(signal.SIGKILL)
        agent.communicate()


def journal(site: Lab) -> bytes:
    return chain(site.site.folder)[-1].journal(0).read_bytes()


def test_the_second_run_reads_what_was_written_since(full: LoopDisk, tmp_path: Path, state: Path) -> None:
    settings = Settings(state=state)
    with lab(tmp_path, full) as site:
        first = site.carry_out(settings)
        why = "no earlier run is known here: compared by digest; tracking begins (typed programs)"
        assert first.basis == (f"{full.path}: {why}",)
        assert full.number in pins.numbers_kept()
        write(full, 5 * MIB, MIB)
        write(full, SIZE - 4096, 4096)
        second = again(site, first).carry_out(settings)
        assert site.replica().read_bytes() == full.image.read_bytes()
    assert second.rounds[0].kind is RoundKind.DELTA
    assert second.rounds[0].read == second.read == MIB + CELL
    assert second.basis == (f"{full.path}: writes were tracked (typed programs): 1064960 bytes in 2 places",)
    checkpoint.forget(state)
    assert full.number not in pins.numbers_kept()


def test_a_chunk_that_decayed_on_the_target_is_sent_whole(
    full: LoopDisk, tmp_path: Path, state: Path
) -> None:
    """What changed is laid over the chunk only if the rest of it is what was sent."""
    with lab(tmp_path, full) as site:
        first = site.carry_out(Settings(state=state))
        with site.replica().open("r+b") as file:
            file.seek(5 * MIB + CHUNK - 1)
            file.write(bytes([full.image.read_bytes()[5 * MIB + CHUNK - 1] ^ 1]))
        write(full, 5 * MIB, 4096)
        write(full, 9 * MIB, 4096)
        second = again(site, first).carry_out(Settings(state=state))
        assert site.replica().read_bytes() == full.image.read_bytes()
    assert second.rounds[0].read == CHUNK + CELL
    assert [line.get("code") for line in site.site.log()].count("DataPlane.PatchRefused") == 1
    checkpoint.forget(state)


def next_layer(site: Lab, report: RunReport, run_id: str) -> Lab:
    """The replica sealed as it is, with a layer on top for the next run."""
    replicas = Replicas(site.site.data / "replicas")
    replicas.seal("job", run_id, [bytes.fromhex(root) for root in report.roots])
    specs = [VolumeSpec(shape.volume, shape.size, shape.chunk) for shape in site.site.shapes]
    generation = site.generation + 1
    roots = replicas.create("job", specs, generation, f"r-{generation}", built_on=True)
    return replace(site, base_roots=tuple(root.hex() for root in roots), generation=generation)


def test_later_runs_write_what_changed_into_layers(full: LoopDisk, tmp_path: Path, state: Path) -> None:
    settings, copied = Settings(state=state), tmp_path / "copied.img"
    with lab(tmp_path, full) as site:
        report = site.carry_out(settings)
        for number in (1, 2):
            write(full, number * 10 * MIB, MIB)
            site = next_layer(site, report, f"r-{number}")
            report = site.carry_out(settings)
            assert report.rounds[0].kind is RoundKind.DELTA
            assert report.read == MIB
            top = chain(site.site.folder)[-1].data(0)
            assert top.stat().st_blocks * 512 < 2 * MIB
            run("qemu-img", "convert", "-O", "raw", top, copied)
            assert copied.read_bytes() == full.image.read_bytes()


def test_of_a_file_system_what_was_written_and_what_was_freed(
    disks: LoopDisks, tmp_path: Path, state: Path
) -> None:
    disk, frozen = disks.make(200 * MIB, "ext4"), tmp_path / "frozen.img"
    assert disk.mount is not None
    (disk.mount / "stays").write_bytes(os.urandom(20 * MIB))
    (disk.mount / "goes").write_bytes(b"do not copy this" * 65536)
    os.sync()
    settings = Settings(state=state, while_frozen=lambda: snapshot(disk, frozen))
    with lab(tmp_path, disk) as site:
        first = site.carry_out(settings)
        (disk.mount / "goes").unlink()
        (disk.mount / "new").write_bytes(os.urandom(MIB))
        second = again(site, first).carry_out(settings)
        assert second.read < 12 * MIB < first.read
        assert b"do not copy this" not in site.replica().read_bytes()
        run("e2fsck", "-fn", site.replica())
        for name in ("stays", "new"):
            content = run_bytes("debugfs", "-R", f"cat /{name}", site.replica())
            assert content == (disk.mount / name).read_bytes()


def run_bytes(*command: str | Path) -> bytes:
    return subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout


def test_the_freeze_of_the_run_before_is_expected_again_and_said_to_miss_the_target_anyway(
    disks: LoopDisks, tmp_path: Path, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = disks.make(SIZE, "ext4")
    with lab(tmp_path, disk, options=RunOptions(freeze_target=0.001)) as site:
        first = site.carry_out(Settings(state=state))
        known = checkpoint.load(state)
        assert known is not None
        assert known.freeze.standing == pytest.approx(first.freeze_seconds - first.held_seconds)
        assert known.freeze.lead > 0
        second = again(site, first).carry_out(Settings(state=state))
    assert second.freeze_expected > known.freeze.standing
    assert second.freeze_reason.startswith("no other round makes it much shorter: ")
    assert "to freeze and thaw the file systems" in second.freeze_reason
    assert "a freeze takes at least" in caplog.text
    assert 0 < second.looked_seconds < second.held_seconds
    checkpoint.forget(state)


def test_agents_that_are_killed_between_and_within_runs(full: LoopDisk, tmp_path: Path, state: Path) -> None:
    with lab(tmp_path, full) as site:
        first = outcome_of(process(site, state))
        write(full, 30 * MIB, 8 * MIB)
        with killed_while_it_copies(again(site, first), state):
            pass
        write(full, 10 * MIB, MIB)
        second = outcome_of(process(again(site, first), state))
        assert site.replica().read_bytes() == full.image.read_bytes()
    assert second.rounds[0].kind is RoundKind.DELTA
    assert second.read <= 9 * MIB


def test_what_a_killed_agent_leaves_of_a_first_run_can_be_forgotten(
    full: LoopDisk, tmp_path: Path, state: Path
) -> None:
    with lab(tmp_path, full) as site, killed_while_it_copies(site, state):
        pass
    assert full.number in pins.numbers_kept()
    checkpoint.forget(state)
    assert full.number not in pins.numbers_kept()
    assert not checkpoint.exists(state)


def other_boot(site: Lab, state: Path, disk: LoopDisk) -> None:
    kept = checkpoint.load(state)
    assert kept is not None
    (volume,) = kept.volumes
    assert volume.bookmark is not None
    was = replace(volume.bookmark, disk=replace(volume.bookmark.disk, boot="an earlier one"))
    checkpoint.save(state, replace(kept, volumes=(replace(volume, bookmark=was),)))


def lost_tracker(site: Lab, state: Path, disk: LoopDisk) -> None:
    shelf = pins.Shelf(disk.number)
    shelf.clear()
    shelf.close()


def other_media(site: Lab, state: Path, disk: LoopDisk) -> None:
    run("losetup", "--detach", disk.path)
    run("losetup", disk.path, disk.image)


def damaged_file(site: Lab, state: Path, disk: LoopDisk) -> None:
    content = bytearray((state / "checkpoint").read_bytes())
    content[-5] ^= 1
    write_file(state / "checkpoint", bytes(content))


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (other_boot, "the source was booted since the run before: compared by digest"),
        (lost_tracker, "tracking was lost since the run before: compared by digest"),
        (other_media, "is another disk than in the run before: compared by digest"),
        (damaged_file, "no earlier run is known here: compared by digest"),
    ],
)
def test_digests_are_compared_and_nothing_is_sent_again(
    full: LoopDisk,
    tmp_path: Path,
    state: Path,
    happens: Callable[[Lab, Path, LoopDisk], None],
    reason: str,
) -> None:
    settings = Settings(state=state)
    with lab(tmp_path, full) as site:
        first = site.carry_out(settings)
        write(full, 5 * MIB, CHUNK)
        happens(site, state, full)
        second = again(site, first).carry_out(settings)
        assert site.replica().read_bytes() == full.image.read_bytes()
        assert reason in second.basis[0]
        assert second.rounds[0].kind is RoundKind.BASELINE
        assert second.rounds[0].read == SIZE
        assert second.rounds[0].changed == CHUNK
        write(full, 9 * MIB, CHUNK)
        third = again(site, second).carry_out(settings)
        assert third.read == CHUNK


def test_another_replica_is_compared(full: LoopDisk, tmp_path: Path, state: Path) -> None:
    settings = Settings(state=state)
    with lab(tmp_path, full) as site:
        site.carry_out(settings)
        other = replace(site, base_roots=("00" * 32,)).carry_out(settings)
        assert "the replica is not what the run before left" in other.basis[0]
        assert other.rounds[0].read == SIZE
        site.renew()
        empty = again(site, other).carry_out(settings)
        assert "the replica is empty" in empty.basis[0]
        assert site.replica().read_bytes() == full.image.read_bytes()


@pytest.mark.parametrize("loss", ["another content", "nothing"])
def test_a_replica_that_was_changed_behind_its_roots_is_found_at_the_end(
    full: LoopDisk, tmp_path: Path, state: Path, loss: str
) -> None:
    """The roots of both sides decide, whatever was taken for known."""
    settings = Settings(state=state)
    with lab(tmp_path, full) as site:
        first = site.carry_out(settings)
        with open_replica(site.site.folder) as opened:
            digest = bytes([7]) * 32 if loss == "another content" else bytes(32)
            opened.volumes[0].journal.put(100, digest)
            opened.volumes[0].journal.flush()
        second = again(site, first).carry_out(settings)
        assert site.replica().read_bytes() == full.image.read_bytes()
        assert second.rounds[-1].read == SIZE
        assert second.roots == first.roots


def test_a_job_that_runs_once_leaves_no_tracker(full: LoopDisk, tmp_path: Path) -> None:
    with lab(tmp_path, full) as site:
        site.carry_out(Settings())
    assert full.number not in pins.numbers_kept()
