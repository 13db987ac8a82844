"""Whether an image still has below it what its source had: content, journal, seal and record, compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehost.agent.verify.comparing import compare
from rehost.block.digestfile import DigestedDisk, Header
from rehost.block.digests import root_of
from rehost.compute.driver import Image
from rehost.compute.local import LocalDriver, qemuimg
from rehost.compute.local.sealed import SealedRun, SealedVolume
from rehost.core.errors import NotFoundError, VolumeError
from rehost.core.server import Disk
from rehost.core.verification import Comparison, Finding, judge
from rehost.store.store import Store


@dataclass(frozen=True, slots=True)
class Record:
    """What the control plane's records say of the run that an image is of."""

    run: str = ""  # empty: its job was deleted, and nothing is known any more
    roots: tuple[str, ...] = ()  # hex, as source and receiver agreed on
    copied: float | None = None  # the end of the copy, Unix seconds by the source's clock
    disks: tuple[Disk, ...] = ()

    def disk(self, volume: int) -> Disk | None:
        return next((disk for disk in self.disks if disk.index == volume), None)


@dataclass(frozen=True, slots=True)
class VolumeCheck:
    finding: Finding
    comparison: Comparison
    path: Path
    disk: Disk | None
    root: str  # hex, what the source had
    journal_root: str
    sealed_root: str
    converted_bytes: int  # that the conversion's overlay hides on purpose
    converted_extents: int

    @property
    def seal_is_right(self) -> bool:
        return self.sealed_root == self.root

    @property
    def equal(self) -> bool:
        return self.finding is Finding.EQUAL and self.seal_is_right


def record_of(store: Store, image_id: str) -> Record:
    try:
        run = store.runs.get(store.images.get(image_id).run)
    except NotFoundError:
        return Record()
    report = run.result.report if run.result is not None else None
    disks = run.inventory.disks if run.inventory is not None else ()
    if report is None:
        return Record(run.id, disks=disks)
    return Record(run.id, report.roots, report.ended, disks)


def check(
    driver: LocalDriver, image: Image, record: Record, told: Callable[[int, float], None]
) -> tuple[VolumeCheck, ...]:
    """Read all that is below an image; VolumeError if a new run began to write it meanwhile."""
    run = driver.sealed_run(image.id)
    overlays = {disk.volume: disk.path for disk in image.disks}
    roots = _roots(run, record)
    found = tuple(
        _check(volume, roots[volume.shape.volume], overlays.get(volume.shape.volume), record, told)
        for volume in run.volumes
    )
    if driver.sealed_run(image.id) != run:
        raise VolumeError(
            f"what {image.id} is built on was written while it was read", "repeat when its job has finished"
        )
    return found


def header_of(run: SealedRun, image: Image, record: Record) -> Header:
    """The header of a digest file. VolumeError if a journal is not what the source and the seal say."""
    roots = _roots(run, record)
    for volume in run.volumes:
        expected = roots[volume.shape.volume]
        with volume.digests() as digests:
            if not root_of(digests, volume.shape) == volume.root == expected:
                raise VolumeError(
                    f"the digests of {image.id} are damaged: {volume.journal}",
                    f"see what is left: rehost verify {image.id}",
                )
    disks = tuple(
        DigestedDisk(volume.shape, volume.root.hex(), record.disk(volume.shape.volume))
        for volume in run.volumes
    )
    return Header(image.id, image.job, record.run, record.copied, disks)


def _roots(run: SealedRun, record: Record) -> Mapping[int, bytes]:
    """What counts, by volume: the run's record, or else the seal."""
    if len(record.roots) != len(run.volumes):
        return {volume.shape.volume: volume.root for volume in run.volumes}
    return {
        volume.shape.volume: bytes.fromhex(root)
        for volume, root in zip(run.volumes, record.roots, strict=True)
    }


def _check(
    volume: SealedVolume,
    root: bytes,
    overlay: Path | None,
    record: Record,
    told: Callable[[int, float], None],
) -> VolumeCheck:
    number = volume.shape.volume
    with volume.digests() as digests, volume.content() as device:
        journal_root = root_of(digests, volume.shape)
        comparison = compare(
            volume.shape, device, volume.extents(), digests, lambda percent: told(number, percent)
        )
    converted = qemuimg.own_extents(overlay) if overlay is not None else []
    return VolumeCheck(
        judge(comparison, journal_root, root),
        comparison,
        volume.data,
        record.disk(number),
        root.hex(),
        journal_root.hex(),
        volume.root.hex(),
        sum(map(len, converted)),
        len(converted),
    )
