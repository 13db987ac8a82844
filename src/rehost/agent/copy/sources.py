"""The disks of a run: open for reading, and the same disks to the end."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehost.agent.copy.salvage import Salvage, place_of
from rehost.agent.copy.spans import span_count
from rehost.block.device import Device
from rehost.block.linux import aligned_buffer
from rehost.core.agentapi import Assignment, AssignmentVolume, UnreadableExtent
from rehost.core.errors import RehostError, SourceDiskChangedError, SourceReadError
from rehost.core.extents import MOST
from rehost.core.server import Disk, Inventory
from rehost.track.disk import medium_of
from rehost.track.libc import write_back
from rehost.track.mounts import FileSystem, mounted_on, open_on
from rehost.track.partitions import Place, places_on
from rehost.track.used import Bound, DiskUse, use_of

OpenDevice = Callable[[Path], Device]
_AGAIN = "start the job again: the new run takes the disks as they are now"


@dataclass(slots=True)
class Source:
    """One disk of the run."""

    volume: AssignmentVolume
    disk: Disk
    device: Salvage
    number: int  # its device number
    medium: str  # what the kernel calls the disk that has the number, see `track.disk`
    places: frozenset[Place]  # its partitions, as the kernel had them at the start
    nodes: list[bytes]  # as the last complete pass left them, see `agent.nodes`
    use: DiskUse | None = None  # of the last complete pass
    basis: str = ""  # why nothing of an earlier run could be built on; later, what the first round built on

    def check(self, open_device: OpenDevice) -> None:
        """SourceDiskChangedError if this is not the disk any more that it was, or not so divided."""
        path = Path(self.volume.disk_path)
        try:
            number = os.stat(path).st_rdev
            again = open_device(path)
        except (OSError, RehostError) as error:
            raise SourceDiskChangedError(f"the disk {path} is gone: {error}", _AGAIN) from error
        size = again.size
        again.close()
        self._check_medium(path, number)
        if size != self.volume.size:
            was = f"had {self.volume.size} bytes and has {size}"
            raise SourceDiskChangedError(f"the disk {path} changed while it was copied: it {was}", _AGAIN)
        if places_on(self.number) != self.places:
            raise SourceDiskChangedError(f"the disk {path} was repartitioned while it was copied", _AGAIN)

    def _check_medium(self, path: Path, number: int) -> None:
        """Another disk of the same size may have come under the same name and number."""
        medium = medium_of(number)
        if (number, medium) != (self.number, self.medium):
            serial = f", serial number {self.disk.serial}" if self.disk.serial else ""
            raise SourceDiskChangedError(
                f"the disk {path} was replaced by another one while it was copied: the kernel counted it as"
                f" disk {self.medium}{serial}, and what is there now as {medium or 'none'}",
                "attach the disk again that was there, then start the job again; with another disk, the job"
                " copies that one from then on",
            )

    def flush(self) -> None:
        """Bring what programs wrote to the disk's device files past any file system onto the disk.

        Reads by O_DIRECT of the whole disk do not see the page cache of its partitions.
        """
        for path in {self.disk.path, *(partition.path for partition in self.disk.partitions)}:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    write_back(fd)
                finally:
                    os.close(fd)
            except OSError as error:
                raise SourceReadError(
                    f"{path} cannot be written back: {error.strerror}",
                    "check the disk (dmesg, smartctl), then start the job again",
                ) from error

    def read_error(self, error: SourceReadError, open_device: OpenDevice) -> RehostError:
        """What a failed read really means: a disk that is gone cannot be read either."""
        try:
            self.check(open_device)
        except SourceDiskChangedError as changed:
            return changed
        return error

    def unreadable(self) -> Iterator[UnreadableExtent]:
        """What the disk did not give when it was read last."""
        for extent in self.device.unreadable:
            where = place_of(self.disk, extent)
            yield UnreadableExtent(self.volume.volume, extent.start, extent.end, where)

    def use_now(self, systems: Mapping[FileSystem, int], page: memoryview, most: int) -> DiskUse:
        """`most`: see `Gathering`; for all partitions of the disk together."""
        bound = Bound(most // max(1, len(self.disk.partitions)), self.use.gap if self.use else 0)
        try:
            return use_of(self.disk, self.device, systems, page, bound)
        except FileNotFoundError as error:
            what = f"{error.filename} is gone: {self.disk.path} was repartitioned while it was copied"
            raise SourceDiskChangedError(what, _AGAIN) from error


@dataclass(frozen=True, slots=True)
class Doors:
    """The ways to the machine's disks."""

    open_device: OpenDevice
    present: Callable[[], Collection[str]] | None = None  # paths of the disks that the server has now


class Sources:
    """All disks of a run, in the assignment's order."""

    def __init__(self, sources: Sequence[Source], known: frozenset[str], doors: Doors) -> None:
        """`known`: paths of all disks that the server had when the run began."""
        self._sources = tuple(sources)
        self._known, self._doors = known, doors
        self._page = aligned_buffer(64 << 10)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)

    def check(self) -> None:
        """SourceDiskChangedError if these are not the server's disks any more, or not so divided."""
        for source in self._sources:
            source.check(self._doors.open_device)
        if self._doors.present and (fresh := sorted(set(self._doors.present()) - self._known)):
            what = f"the server has a disk that it did not have when the run began: {', '.join(fresh)}"
            raise SourceDiskChangedError(
                what, "detach it and start the job again, or create a job that copies it too"
            )

    def flush(self) -> None:
        for source in self._sources:
            try:
                source.flush()
            except SourceReadError as error:
                raise self.explain(error) from error

    def explain(self, error: SourceReadError) -> RehostError:
        """The reason of a failed read, as good as it can be known."""
        for source in self._sources:
            found = source.read_error(error, self._doors.open_device)
            if found is not error:
                return found
        return error

    def use(self, systems: Mapping[FileSystem, int]) -> dict[int, DiskUse]:
        """The present use of each disk, by volume."""
        most = MOST // len(self._sources)
        return {source.volume.volume: source.use_now(systems, self._page, most) for source in self._sources}

    def mounted(self) -> list[FileSystem]:
        """What is mounted from these disks now, deepest mount first."""
        numbers = {source.number for source in self._sources}
        return mounted_on(numbers | {place.number for source in self._sources for place in source.places})

    @contextmanager
    def systems(self) -> Iterator[dict[FileSystem, int]]:
        """A descriptor on each of `mounted`; held only for a while, as they keep people from unmounting."""
        with ExitStack() as stack:
            opened = {}
            for system in self.mounted():
                opened[system] = open_on(system)
                stack.callback(os.close, opened[system])
            yield opened


@contextmanager
def open_sources(
    assignment: Assignment, inventory: Inventory, doors: Doors, check: Callable[[], None]
) -> Iterator[Sources]:
    """The assignment's disks, open; SourceDiskChangedError if they are not what was assigned.

    `check` is asked before each try at what a disk does not give, and raises what ends the run.
    """
    with ExitStack() as stack:
        sources = []
        for volume in assignment.volumes:
            disk = _disk_of(volume, inventory)
            device = doors.open_device(Path(volume.disk_path))
            stack.callback(device.close)
            salvage = Salvage(device, disk, assignment.options.unreadable, check)
            sources.append(_source(volume, disk, salvage))
        yield Sources(sources, frozenset(disk.path for disk in inventory.disks), doors)


def _disk_of(volume: AssignmentVolume, inventory: Inventory) -> Disk:
    for disk in inventory.disks:
        if disk.path == volume.disk_path:
            return disk
    raise SourceDiskChangedError(f"the source has no disk {volume.disk_path} any more", _AGAIN)


def _source(volume: AssignmentVolume, disk: Disk, device: Salvage) -> Source:
    if not device.size == disk.size == volume.size:
        what = f"{volume.disk_path} has {device.size} bytes, {volume.size} were assigned"
        raise SourceDiskChangedError(what, _AGAIN)
    number = os.stat(volume.disk_path).st_rdev
    places = places_on(number)
    _check_partitions(disk, places)
    return Source(volume, disk, device, number, medium_of(number), places, [b""] * span_count(volume))


def _check_partitions(disk: Disk, places: frozenset[Place]) -> None:
    """The inventory's partitions have to lie where the kernel has them, or free blocks would be misplaced."""
    for partition in disk.partitions:
        if partition.path == disk.path:
            continue  # a file system on the whole disk
        place = Place(os.stat(partition.path).st_rdev, partition.start, partition.size)
        if place not in places:
            raise SourceDiskChangedError(f"the partition {partition.path} has moved", _AGAIN)
