"""Values that several tests of the agent use."""

from rehost.core.agentapi import (
    Assignment,
    AssignmentVolume,
    DiskProgress,
    Phase,
    Progress,
    Register,
    Result,
    RunReport,
)
from rehost.core.round import RoundKind, RoundReport
from rehost.core.server import BootMode, Disk, Inventory

INVENTORY = Inventory(
    hostname="oak",
    platform="Debian",
    architecture="x86_64",
    kernel="6.1.0",
    boot_mode=BootMode.BIOS,
    cores=2,
    memory=4 << 30,
    disks=(Disk(0, "/dev/sda", 8 << 30),),
)
REGISTER = Register("code-1", "ab" * 32, INVENTORY, "0.1.0")
PROGRESS = Progress(
    "r-1", 1, Phase.COPYING, 1, RoundKind.BASELINE, (DiskProgress(0, 100, 50, 50, 25, 10, 5.0, 10.0),)
)
REPORT = RunReport(("ab" * 32,), (RoundReport(RoundKind.FINAL, 1, 9, 8, 7, 1.5),), 9, 7, 9, 0.2, 1.0, 2.0)
RESULT = Result("r-1", 1, report=REPORT)


def assignment(run: str = "r-1", generation: int = 1, port: int = 9) -> Assignment:
    volumes = (AssignmentVolume(0, "/dev/sda", 8 << 30, 256 << 10),)
    return Assignment(run, "j-1", generation, "ticket", "", port, volumes)
