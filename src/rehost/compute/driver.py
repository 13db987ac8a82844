"""What a place offers in which replicas, images and instances live.

Every driver passes the same conformance suite. Every call can be repeated: a step that died half-way
is simply done again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from rehost.core import digest


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """One disk that a replica has to hold."""

    volume: int  # the source's disk index
    size: int  # bytes
    chunk: int  # bytes
    used: int | None = None  # bytes that a copy will write; None: unknown, so that room for all is asked for


class ImageState(StrEnum):
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ImageDisk:
    volume: int
    path: Path  # the overlay
    size: int  # bytes, as the guest sees it
    source_size: int  # bytes of the replica's volume below it


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    job: str
    run: str  # whose content it has
    name: str
    description: str
    region: str
    mac: str  # of the card that the image's guest is prepared for
    state: ImageState
    created: float  # Unix seconds
    disks: tuple[ImageDisk, ...]
    folder: Path
    error: str = ""  # why it failed

    @property
    def boot_folder(self) -> Path:
        """Where the boot check's evidence is: serial.log, screen.png, verdict.json, output.txt."""
        return self.folder / "boot"


@dataclass(frozen=True, slots=True)
class Milestone:
    name: str  # firmware, loader, kernel, userspace, login
    seconds: float  # since power on


@dataclass(frozen=True, slots=True)
class BootVerdict:
    ok: bool
    verdict: str  # "ok", or what was in the way: "initramfs: root device missing"
    milestones: tuple[Milestone, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestState:
    """What the booted guest says of itself through its agent."""

    system: str  # systemctl is-system-running: running, degraded, ...
    failed_units: tuple[str, ...]
    mounts: tuple[str, ...]  # "<target> <source> <file system>"
    addresses: tuple[str, ...]  # "<interface> <address>/<prefix>"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The end of the command that a job asks to be run in the booted guest."""

    command: str
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class BootEvidence:
    """What a boot check saw; it lies as verdict.json beside the serial log and the screenshot."""

    verdict: BootVerdict
    seconds: float
    accelerator: str
    guest: GuestState | None = None  # None: no guest agent told, see guest_problem
    guest_problem: str = ""
    command: CommandResult | None = None
    screenshot: str = ""  # a file's name in the boot folder, empty: the machine had ended
    screen_black: bool = False  # nothing on the screen: a guest that shows itself on the serial line only


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What became of the images that a job keeps no longer."""

    deleted: tuple[str, ...]  # their ids
    postponed: str = ""  # why something is left to do; empty: nothing is


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes on disk."""

    layer: int  # what the image's run wrote; with what was merged into it
    overlay: int  # what the conversion changed


class ExportFormat(StrEnum):
    QCOW2 = "qcow2"
    RAW = "raw"
    VHD = "vhd"
    VMDK = "vmdk"


ExportProgress = Callable[[int, float], None]
"""Told (volume, percent done) while an export goes on."""

SERVICE_ROLE = "AliyunServiceRoleForSMC"
"""The name that the API's documentation gives to the role of drivers that act on a cloud."""

BOOT_DEADLINE = 300.0  # seconds to the login prompt, enough for software emulation


def mac_of(image_id: str) -> str:
    """The address of an image's network card: the same one at its conversion, boot check and every boot."""
    tail = digest.of(image_id.encode())[:3]
    return ":".join(f"{byte:02x}" for byte in b"\x52\x54\x00" + tail)


class Driver(Protocol):
    """Replicas belong to jobs, images are built on sealed replicas and keep them alive.

    A replica has a layer for each run that wrote it: what is sealed stays as it is, and the next run costs
    what changed.
    """

    def create_replica(
        self, job: str, volumes: Sequence[VolumeSpec], generation: int, run: str
    ) -> tuple[bytes, ...]:
        """Volumes to write to, as of now by writers of this generation only; what is durable stays.

        A run that begins gets a layer on top of the sealed ones; one that begins again goes on in its own,
        unless a finished image is built on that. Returns the roots of the sealed content that the writers
        find; none if nothing was sealed before.

        VolumeFullError when the place has no room for the used bytes that are not there yet,
        VolumeError when the replica has other volumes.
        """

    def replica_path(self, job: str) -> Path:
        """The replica's folder."""

    def generations(self) -> dict[str, int]:
        """Whose turn it is to write each replica there is, by job."""

    def seal(self, job: str, run: str, roots: Sequence[bytes]) -> None:
        """The run's layer is complete and is not written any more; roots in the order of the volumes."""

    def discard_replica(self, job: str) -> None:
        """The job needs its replica no more; it goes when no image needs it either."""

    def create_image(
        self,
        image_id: str,
        job: str,
        name: str,
        *,
        description: str = "",
        region: str = "",
        sizes: Mapping[int, int] | None = None,
    ) -> tuple[Path, ...]:
        """Fresh overlays on the job's sealed replica, in the order of the volumes, and an image in building.

        `sizes`: bytes asked for per volume; a disk is never smaller than its source. A repeated call
        throws away what the earlier one's overlays hold.
        """

    def record_conversion(self, image_id: str, report: object) -> None:
        """Keep the conversion's report (a dataclass or mapping that JSON can hold) as report.json."""

    def conversion(self, image_id: str) -> dict[str, Any] | None:
        """What was recorded of an image; None before there was a conversion."""

    def boot_check(
        self, image_id: str, *, command: str = "", deadline: float = BOOT_DEADLINE
    ) -> BootEvidence:
        """Boot a throw-away copy of the image, cut off from any network, and keep the evidence.

        BootCheckError when it does not reach its login prompt, when `command` (run by the guest's
        shell as root) does not end with 0, or when no guest agent runs it; the image is failed then.
        """

    def boot_evidence(self, image_id: str) -> BootEvidence | None:
        """What the last boot check of an image saw; None before there was one."""

    def finish_image(self, image_id: str) -> Image:
        """The image is ready: what a run has to show for itself."""

    def fail_image(self, image_id: str, why: str) -> None:
        """The image stays for inspection, as failed; nothing happens if there is none."""

    def instance_roles(self) -> frozenset[str] | None:
        """Names of the roles that an instance of an image can be given; None: there is no such thing here,
        and the role that a job names is kept for whoever reads it."""

    def service_role(self) -> str | None:
        """The service-linked role in whose name the driver acts on its place; None: it needs none."""

    def images(self) -> tuple[Image, ...]:
        """All images, oldest first."""

    def image(self, image_id: str) -> Image:
        """NotFoundError if there is none of this id."""

    def delete_image(self, image_id: str) -> None:
        """Gone, if it was there; so is a discarded replica that it was the last to need."""

    def trim(self, job: str, keep: int) -> Trimmed:
        """Delete the oldest finished images of a job beyond `keep`, except for those in use, and merge the
        layers that no image needs any more. What is in use, or a replica that is being written, is left to a
        later call."""

    def space(self, image_id: str) -> Space:
        """What an image takes; NotFoundError if there is none of this id."""

    def export_image(
        self, image_id: str, form: ExportFormat, destination: Path, progress: ExportProgress | None = None
    ) -> tuple[Path, ...]:
        """One self-contained file per disk in the folder `destination`; VolumeFullError without room."""
