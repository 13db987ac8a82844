"""Every image compared with its source: digests and root, the file system's check, the writer's files."""

import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.storm.record import Proof
from bench.storm.scene import Scene
from bench.storm.writer import faults as faults_of_files
from rehost.cli import datafolder
from rehost.cli.imagecheck import check, record_of
from rehost.compute.driver import ImageState
from rehost.compute.local import LocalDriver
from rehost.core.errors import RehostError
from rehost.store.images import ImageRecord
from rehost.store.store import Store
from tests.loopdisks import loop_disks
from tests.migration.images import flat

_AT_A_TIME = 2


def prove(scene: Scene, store: Store) -> Iterator[Proof]:
    driver = datafolder.driver_on(scene.first)
    names = {source.id: source.name for source in scene.sources}

    def proof(record: ImageRecord) -> Proof:
        source = names[store.jobs.get(record.job).spec.source_id]
        read, faults = _verify(driver, store, record.id)
        with tempfile.TemporaryDirectory(dir=scene.folder) as folder:
            faults += _faults_inside(scene.volumes / "images" / record.id, Path(folder), source)
        return Proof(record.id, source, read, tuple(faults))

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield from pool.map(proof, store.images.all())


def _verify(driver: LocalDriver, store: Store, image_id: str) -> tuple[int, list[str]]:
    """As `rehost verify` does: the bytes that were read, and what is wrong."""
    try:
        image = driver.image(image_id)
        found = check(driver, image, record_of(store, image_id), lambda *_: None)
    except RehostError as error:
        return 0, [f"rehost verify: {error}"]
    faults = [f"rehost verify: differs from {each.root}" for each in found if not each.equal]
    if image.state is not ImageState.READY:
        faults.append(f"its state on disk is {image.state}")
    return sum(each.comparison.read for each in found), faults


def _faults_inside(image: Path, folder: Path, source: str) -> Iterator[str]:
    copy = flat(image, folder)
    done = subprocess.run(["e2fsck", "-f", "-n", copy], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"e2fsck: {done.stdout[-500:]}"
    with (
        loop_disks(folder) as disks,
        disks.attached(copy, "--read-only") as device,
        disks.mounted(device, "-o", "ro") as mount,
    ):
        yield from faults_of_files(mount / "writer", source)
