"""The network goes away inside a freeze: the source is thawed in time, and the run goes on later."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from rehost.agent.hooks import POST_THAW, PRE_FREEZE
from rehost.core.agentapi import RunOptions
from tests.agent.agent_process import Outcome
from tests.agent.copy.test_run_interrupted import wait_for
from tests.agent.copying import Lab, lab
from tests.agent.processes import agent, answer
from tests.agent.scripts import Scripts
from tests.agent.tortured import Frozen
from tests.loopdisks import LoopDisks
from tests.netlab.link import Link, link
from tests.netlab.shape import Shape
from tests.processes import line_of

MIB = 1 << 20
OPTIONS = RunOptions(freeze_deadline=5.0)
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5)"
# What a freeze finds to do; then it waits for the test.
WRITE = """
dd if=/dev/urandom of={mount}/fresh bs=1M count=4
touch {asked}
while [ ! -e {allowed} ]; do sleep 0.05; done
"""


@dataclass
class Source:
    """A disk that is copied over a link by `process`; both stages of hooks tell of themselves."""

    between: Link
    site: Lab
    process: "subprocess.Popen[bytes]"
    mount: Path
    frozen: Frozen
    scripts: Scripts
    asked: Path  # there when a freeze is about to begin
    allowed: Path  # to be made for it to begin

    def cut(self) -> None:
        """From now on the link swallows everything."""
        self.between.shape(Shape(black_hole=True))
        wait_for(lambda: not self._connects())

    def write(self) -> None:
        """It waits as long as anything is frozen."""
        with (self.mount / "written").open("wb") as file:
            file.write(b"written")
            os.fsync(file.fileno())

    def end_well(self, disks: LoopDisks) -> None:
        outcome = msgspec.json.decode(line_of(self.process), type=Outcome)
        assert outcome.report is not None, outcome.error
        assert {part.way for part in outcome.report.consistency} == {"frozen"}
        self.frozen.check(self.site, disks)

    def _connects(self) -> bool:
        address = (self.between.far.address, str(self.site.site.port))
        command = self.between.near.command(sys.executable, "-c", CONNECT, *address)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def source(disks: LoopDisks, tmp_path: Path) -> Iterator[Source]:
    disk, scripts = disks.make(60 * MIB, "ext4"), Scripts(tmp_path)
    assert disk.mount is not None
    asked, allowed = tmp_path / "asked", tmp_path / "allowed"
    scripts.add(PRE_FREEZE, "write", WRITE.format(mount=disk.mount, asked=asked, allowed=allowed))
    scripts.add(POST_THAW, "tell")
    with (
        link() as between,
        lab(
            tmp_path, disk, options=OPTIONS, address=between.far.address, prefix=between.far.command()
        ) as site,
        agent(site, prefix=between.near.command(), waits_frozen=True, hooks=scripts.place) as process,
    ):
        frozen = Frozen(tmp_path, (disk,), ("ext4",))
        yield Source(between, site, process, disk.mount, frozen, scripts, asked, allowed)


def test_a_freeze_that_cannot_read_on_ends_by_its_deadline(source: Source, disks: LoopDisks) -> None:
    """What it wants to know of the receiver does not come. The next attempt has all it needs."""
    wait_for(source.asked.exists)
    source.cut()
    source.allowed.touch()
    wait_for(lambda: source.scripts.ran == ["pre-freeze write", "post-thaw tell"])
    source.write()  # the link is still away
    source.between.shape(Shape())
    assert line_of(source.process) == b"frozen\n"
    source.frozen()
    answer(source.process)
    source.end_well(disks)
    assert source.scripts.ran == ["pre-freeze write", "post-thaw tell"] * 2


def test_a_freeze_in_which_all_is_read_does_not_wait_for_the_receiver(
    source: Source, disks: LoopDisks
) -> None:
    source.allowed.touch()
    assert line_of(source.process) == b"frozen\n"
    source.frozen()
    source.cut()
    answer(source.process)
    source.write()  # the link is still away
    source.between.shape(Shape())
    source.end_well(disks)
    assert source.scripts.ran == ["pre-freeze write", "post-thaw tell"]
