"""Runs whose agent, receiver or connection dies on the way, outside the freeze and inside."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from rehost.agent.copy.run import Settings
from rehost.block.device import Device
from rehost.block.file import open_source
from rehost.block.filters import Filter, Operation
from rehost.block.layer import chain
from rehost.core.agentapi import RunOptions
from rehost.core.digest import ABSENT, SIZE
from rehost.core.errors import ConnectionLostError, FreezeError
from rehost.track.suspects import IdleDisks, Suspicion
from tests.agent.agent_process import Outcome
from tests.agent.copying import CHUNK, Lab, lab
from tests.agent.processes import agent, answer
from tests.agent.proxy import proxy_to
from tests.loopdisks import LoopDisk, LoopDisks, run
from tests.processes import line_of

MIB = 1 << 20
SIZE_OF_DISK = 48 * MIB
OVERHEAD = 64  # bytes of a Data frame besides its payload, at most
PLAIN = RunOptions(compress_level=0, freeze_deadline=60.0)
WINDOW = 16 << 20  # of one stream


@pytest.fixture
def noise(disks: LoopDisks) -> LoopDisk:
    """A disk without a file system, full of bytes that do not compress."""
    disk = disks.make(SIZE_OF_DISK)
    with open(disk.path, "wb") as file:
        file.write(os.urandom(SIZE_OF_DISK))
        os.fsync(file.fileno())
    return disk


def durable(site: Lab) -> int:
    """Bytes of the chunks that the journal has."""
    entries = chain(site.site.folder)[0].journal(0).read_bytes()
    return CHUNK * sum(entries[i : i + SIZE] != ABSENT for i in range(0, len(entries), SIZE))


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("this did not happen within a minute")


def same(disk: LoopDisk, site: Lab) -> bool:
    return disk.image.read_bytes() == site.replica().read_bytes()


def test_kill_9_of_the_agent_sends_nothing_twice_that_was_durable(noise: LoopDisk, tmp_path: Path) -> None:
    with lab(tmp_path, noise, options=PLAIN) as site:
        with agent(site, rate=16.0 * MIB) as process:
            wait_for(lambda: durable(site) > SIZE_OF_DISK // 3)
            process.kill()
            first = durable(site)
            assert process.wait() == -signal.SIGKILL
        assert first < SIZE_OF_DISK
        report = site.carry_out()
        chunks = SIZE_OF_DISK // CHUNK
        assert first + report.sent <= SIZE_OF_DISK + chunks * OVERHEAD + 2 * WINDOW
        assert report.sent <= SIZE_OF_DISK - first + chunks * OVERHEAD
        assert same(noise, site)


def test_kill_9_of_the_receiver_only_costs_what_was_not_durable(noise: LoopDisk, tmp_path: Path) -> None:
    with lab(tmp_path, noise, options=replace(PLAIN, bandwidth_limit=16 << 10)) as site:
        reports = []
        thread = threading.Thread(target=lambda: reports.append(site.carry_out()))
        thread.start()
        wait_for(lambda: durable(site) > SIZE_OF_DISK // 3)
        site.site.stop(signal.SIGKILL)
        site.site.start()
        thread.join(120)
        (report,) = reports
        assert report.sent <= SIZE_OF_DISK + SIZE_OF_DISK // CHUNK * OVERHEAD + 2 * WINDOW
        assert same(noise, site)


def test_cut_connections_are_made_again_and_only_the_window_is_resent(
    noise: LoopDisk, tmp_path: Path
) -> None:
    with lab(tmp_path, noise, options=PLAIN) as site, proxy_to(site.site.port) as proxy:
        proxy.budgets = [3 * MIB, 2 * MIB, 5 * MIB, 100, 6 * MIB]
        report = site.carry_out(port=proxy.port)
        assert proxy.connections > 5
        assert report.sent <= SIZE_OF_DISK + SIZE_OF_DISK // CHUNK * OVERHEAD + 5 * WINDOW
        assert report.read < 4 * SIZE_OF_DISK  # three rounds: a cut costs no reading
        assert same(noise, site)


def test_a_receiver_that_stays_away_fails_the_run(noise: LoopDisk, tmp_path: Path) -> None:
    with lab(tmp_path, noise) as site, proxy_to(site.site.port) as proxy:
        proxy.closed = True
        with pytest.raises(ConnectionLostError, match="could not be reached for"):
            site.carry_out(Settings(patience=1.0), port=proxy.port)


class Rounds(IdleDisks):
    """Tells when a round begins; the third is the first under a freeze."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0

    def begin(self, device: int) -> Suspicion:
        self.begun += 1
        return super().begin(device)


class AtFirstFrozenRead(Filter):
    def __init__(self, inner: Device, rounds: Rounds, action: Callable[[], None]) -> None:
        super().__init__(inner)
        self._rounds, self._action = rounds, action
        self._done = False

    def before(self, operation: Operation, offset: int, length: int) -> None:
        if self._rounds.begun == 3 and not self._done:
            self._done = True
            self._action()


def filled(disks: LoopDisks) -> tuple[LoopDisk, Path]:
    disk = disks.make(100 * MIB, "ext4")
    assert disk.mount is not None
    for number in range(10):
        (disk.mount / f"file-{number}").write_bytes(os.urandom(MIB))
    return disk, disk.mount


def test_a_connection_lost_inside_the_freeze_thaws_and_repeats_the_round(
    disks: LoopDisks, tmp_path: Path
) -> None:
    disk = disks.make(300 * MIB, "ext4")  # five spans: the first read comes long before the last question
    rounds, cuts, frozen = Rounds(), [], []
    with lab(tmp_path, disk, options=RunOptions(streams=1)) as site, proxy_to(site.site.port) as proxy:

        def cut() -> None:
            if not cuts:  # the device is opened again for each check
                cuts.append(rounds.begun)
                proxy.cut()

        settings = Settings(
            open_device=lambda path: AtFirstFrozenRead(open_source(path), rounds, cut),
            suspects=lambda: rounds,
            while_frozen=lambda: frozen.append(rounds.begun),
        )
        report = site.carry_out(settings, port=proxy.port)
        assert cuts == [3]
        assert frozen == [4]  # the third round got nowhere
        assert [past.number for past in report.rounds] == [1, 2, 3]
        run("e2fsck", "-fn", site.replica())


def test_what_was_read_under_the_freeze_survives_a_connection_lost_after_it(
    disks: LoopDisks, tmp_path: Path
) -> None:
    """No ack of the last round arrives before the cut, and the disk lives on: what was read is sent again."""
    disk = disks.make(60 * MIB, "ext4")
    assert disk.mount is not None
    file, rounds = disk.mount / "file", Rounds()
    file.write_bytes(b"old" * 10_000)
    change = threading.Thread(target=file.write_bytes, args=(b"new" * 10_000,))

    with (
        lab(tmp_path, disk, options=RunOptions(streams=1)) as site,
        proxy_to(site.site.port) as proxy,
    ):

        def hold() -> None:
            proxy.holding = True  # the digests of the only span are known by now

        def while_frozen() -> None:
            change.start()
            proxy.cut()

        settings = Settings(
            open_device=lambda path: AtFirstFrozenRead(open_source(path), rounds, hold),
            suspects=lambda: rounds,
            while_frozen=while_frozen,
        )
        report = site.carry_out(settings, port=proxy.port)
        change.join()
        assert report.rounds[-1].changed > 0
        assert rounds.begun == 3
        assert proxy.connections == 2
        run("e2fsck", "-fn", site.replica())
        assert run("debugfs", "-R", "cat /file", site.replica()).endswith("old" * 10_000)


def test_an_agent_that_lives_on_the_frozen_disk_does_not_wait_for_itself(
    disks: LoopDisks, tmp_path: Path
) -> None:
    disk, mount = filled(disks)
    options = RunOptions(freeze_deadline=20.0)
    with lab(tmp_path, disk, options=options) as site, agent(site, home=mount, attempts=1) as process:
        outcome = msgspec.json.decode(line_of(process), type=Outcome)
        process.wait()
    assert outcome.report is not None, outcome.error
    assert list(mount.rglob("sender.*.pyc"))  # it did write there before


def test_kill_9_inside_the_freeze_leaves_nothing_frozen(disks: LoopDisks, tmp_path: Path) -> None:
    disk, mount = filled(disks)
    with lab(tmp_path, disk) as site, agent(site, waits_frozen=True) as process:
        assert line_of(process) == b"frozen\n"
        write = threading.Thread(target=(mount / "written").write_bytes, args=(b"x",))
        write.start()
        write.join(0.3)
        waited = write.is_alive()
        process.kill()
        write.join(30)
        assert waited
        assert not write.is_alive()


def test_an_agent_stopped_inside_the_freeze_is_thawed_and_repeats_the_round(
    disks: LoopDisks, tmp_path: Path
) -> None:
    disk, mount = filled(disks)
    options = RunOptions(freeze_deadline=5.0)
    with lab(tmp_path, disk, options=options) as site, agent(site, waits_frozen=True) as process:
        assert line_of(process) == b"frozen\n"
        process.send_signal(signal.SIGSTOP)
        (mount / "marker").write_bytes(b"written after the watchdog thawed")  # waits until then
        process.send_signal(signal.SIGCONT)
        answer(process)
        assert line_of(process) == b"frozen\n"
        process.stdin.write(b"go\n")
        process.stdin.flush()
        outcome = msgspec.json.decode(line_of(process), type=Outcome)
        assert outcome.report is not None, outcome.error
        assert outcome.report.freeze_seconds < 5.0
        assert "after the watchdog" in run("debugfs", "-R", "cat /marker", site.replica())


def test_freezes_that_are_always_thawed_fail_the_run(disks: LoopDisks, tmp_path: Path) -> None:
    disk, mount = filled(disks)
    calls = []

    def while_frozen() -> None:
        calls.append(1)
        (mount / f"marker-{len(calls)}").write_bytes(b"x")  # waits for the watchdog

    with (
        lab(tmp_path, disk, options=RunOptions(freeze_deadline=3.0)) as site,
        pytest.raises(FreezeError, match=r"thawed by the watchdog after .* \(attempt 2 of 2\)"),
    ):
        site.carry_out(Settings(freeze_attempts=2, while_frozen=while_frozen))
    assert len(calls) == 2
