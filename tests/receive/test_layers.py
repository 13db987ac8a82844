"""A later run over the wire: qcow2 on top of what is sealed, written by QEMU's own code."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehost.block.layer import chain
from rehost.block.volume import VolumeShape
from rehost.compute.driver import VolumeSpec
from rehost.compute.local import LocalDriver
from rehost.core import digest
from rehost.core.errors import TicketStaleError, VolumeError
from tests.receive.site import CHUNK, Site, chunks_of, root_of

SIZES = (40 * CHUNK, 3 * CHUNK + 512)
SPECS = [VolumeSpec(number, size, CHUNK) for number, size in enumerate(SIZES)]
FIRST = [random.Random(number).randbytes(size) for number, size in enumerate(SIZES)]
EMPTY = 5 * (128 << 10)  # bytes of a qcow2 file with one mapping table, and nothing in it


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """With a sealed run, and a layer for the next one; the receiver listens."""
    site = Site(tmp_path / "data", [VolumeShape(spec.volume, spec.size, spec.chunk) for spec in SPECS])
    driver = LocalDriver(site.data)
    assert driver.create_replica("job", SPECS, 1, "r-1") == ()
    site.start()
    with site.sender() as sender:
        for volume, content in enumerate(FIRST):
            for number, chunk in enumerate(chunks_of(content)):
                sender.send(volume, number, chunk)
        roots = sender.complete()
    driver.seal("job", "r-1", roots)
    assert driver.create_replica("job", SPECS, 2, "r-2") == roots
    yield site
    if site.process is not None:
        site.stop()


def second() -> list[bytearray]:
    return [bytearray(content) for content in FIRST]


def seal(site: Site, contents: list[bytearray]) -> list[Path]:
    """The image of the second run, one disk after the other."""
    driver = LocalDriver(site.data)
    driver.seal("job", "r-2", [root_of(bytes(content)) for content in contents])
    return list(driver.create_image("m-2", "job", "web"))


def content(path: Path) -> bytes:
    flat = path.with_suffix(".flat")
    subprocess.run(["qemu-img", "convert", "-O", "raw", path, flat], check=True)
    return flat.read_bytes()


def stored(site: Site) -> int:
    return sum(file.stat().st_blocks * 512 for file in chain(site.folder)[-1].path.iterdir())


def daemons(site: Site) -> list[int]:
    """The storage daemons that have files of this site open."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            command = (process / "cmdline").read_bytes() if process.name.isdecimal() else b""
        except OSError:
            continue
        if b"qemu-storage-daemon" in command and str(site.folder).encode() in command:
            found.append(int(process.name))
    return found


def test_a_run_stores_what_changed_and_leaves_what_is_sealed_alone(site: Site) -> None:
    disks = second()
    with site.sender(site.ticket(2)) as sender:
        assert [volume.fresh for volume in sender.welcome.volumes] == [False, False]
        assert sender.digests(0, 0, 40) == [digest.of(chunk) for chunk in chunks_of(FIRST[0])]
        disks[0][5 * CHUNK : 6 * CHUNK] = bytes([1]) * CHUNK
        disks[0][7 * CHUNK : 9 * CHUNK] = bytes(2 * CHUNK)
        disks[1][3 * CHUNK :] = b"tail" * 128
        sender.send(0, 5, disks[0][5 * CHUNK : 6 * CHUNK])
        sender.zero(0, 7, 2)
        sender.send(1, 3, disks[1][3 * CHUNK :])
        assert sender.digests(0, 5, 1) == [digest.of(bytes([1]) * CHUNK)]
        assert sender.complete() == tuple(root_of(bytes(disk)) for disk in disks)
    overlays = seal(site, disks)
    assert [content(overlay) for overlay in overlays] == disks
    assert [chain(site.folder)[0].data(number).read_bytes() for number in (0, 1)] == FIRST
    assert stored(site) < CHUNK + 2 * EMPTY + 64 * 1024
    assert daemons(site) == []


def test_a_receiver_killed_and_started_at_once_goes_on_with_what_is_durable(site: Site) -> None:
    """The storage daemon ends with it; its locks may be there for a moment."""
    disks = second()
    for number in range(4):
        with site.sender(site.ticket(2)) as sender:
            disks[0][number * CHUNK : (number + 1) * CHUNK] = bytes([number + 1]) * CHUNK
            seq = sender.send(0, number, disks[0][number * CHUNK : (number + 1) * CHUNK])
            sender.wait_acked(seq)
            assert len(daemons(site)) == 1
            site.stop(signal.SIGKILL)
            site.start()
    with site.sender(site.ticket(2)) as sender:
        wanted = [digest.of(chunk) for chunk in chunks_of(bytes(disks[0]))]
        assert sender.digests(0, 0, 40) == wanted
        assert sender.complete() == tuple(root_of(bytes(disk)) for disk in disks)
    assert [content(overlay) for overlay in seal(site, disks)] == disks


def test_the_end_of_the_storage_daemon_is_an_error_and_not_the_end(site: Site) -> None:
    disks = second()
    changed = bytes([9]) * CHUNK
    with site.sender(site.ticket(2)) as sender:
        sender.wait_acked(sender.send(0, 1, changed))
        (daemon,) = daemons(site)
        os.kill(daemon, signal.SIGKILL)
        with pytest.raises(VolumeError, match="NBD server of disk-0 is gone"):
            sender.send(0, 2, changed)
            sender.hear_failure()
    with site.sender(site.ticket(2)) as sender:
        entries = sender.digests(0, 0, 4)
        assert (entries[1], entries[2] in (digest.ABSENT, digest.of(changed))) == (digest.of(changed), True)
        sender.send(0, 2, changed)
        disks[0][CHUNK : 3 * CHUNK] = changed * 2
        assert sender.complete() == tuple(root_of(bytes(disk)) for disk in disks)
    assert [content(overlay) for overlay in seal(site, disks)] == disks


def test_a_connection_that_stays_does_not_keep_a_sealed_layer_open(site: Site) -> None:
    disks = second()
    with site.sender(site.ticket(2)) as sender, site.sender(site.ticket(2), stream=1) as idle:
        assert sender.complete() == tuple(map(root_of, FIRST))
        assert [content(overlay) for overlay in seal(site, disks)] == disks
        with pytest.raises(TicketStaleError, match="is sealed"):
            idle.hear_failure()
    assert stored(site) < 2 * EMPTY


def test_the_next_generation_meets_no_writer_of_the_old_one(site: Site) -> None:
    """A connection of a run that is over is there still when the layer of the next one is opened."""
    driver = LocalDriver(site.data)
    with site.sender(site.ticket(2)) as old:
        old.wait_acked(old.send(0, 0, bytes([2]) * CHUNK))
        driver.create_replica("job", SPECS, 3, "r-2")
        with site.sender(site.ticket(3)) as new:
            new.wait_acked(new.send(0, 0, bytes([3]) * CHUNK))
            with pytest.raises(TicketStaleError):
                old.send(0, 0, bytes([2]) * CHUNK)
                old.hear_failure()
            assert new.digests(0, 0, 1) == [digest.of(bytes([3]) * CHUNK)]
            new.complete()
    deadline = time.monotonic() + 20
    while daemons(site):
        assert time.monotonic() < deadline
        time.sleep(0.05)
