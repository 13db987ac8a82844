"""Every image compared with its source: digests and root, the file system's check, the writer's files."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.storm.record import Proof
from bench.storm.scene import Scene
from bench.storm.writer import faults as faults_of_files
from rehost.cli import datafolder
from rehost.cli.imagecheck import check, record_of
from rehost.core.errors import RehostError
from rehost.store.store import Store
from tests.loopdisks import loop_disks
from tests.migration.images import flat


def prove(scene: Scene, store: Store) -> Iterator[Proof]:
    driver = datafolder.driver_on(scene.first)
    names = {source.id: source.name for source in scene.sources}
    for image in store.images.all():
        source = names[store.jobs.get(image.job).spec.source_id]
        found = []
        try:
            found = list(check(driver, driver.image(image.id), record_of(store, image.id), lambda *_: None))
            faults = [
                f"rehost verify: disk differs from root {each.root}" for each in found if not each.equal
            ]
        except RehostError as error:
            faults = [f"rehost verify: {error}"]
        faults += _faults_inside(scene.volumes / "images" / image.id, scene.folder, source)
        yield Proof(image.id, source, sum(each.comparison.read for each in found), tuple(faults))


def _faults_inside(image: Path, folder: Path, source: str) -> Iterator[str]:
    copy = flat(image, folder)
    try:
        done = subprocess.run(["e2fsck", "-f", "-n", copy], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"e2fsck: {done.stdout[-500:]}"
        with (
            loop_disks(folder) as disks,
            disks.attached(copy, "--read-only") as device,
            disks.mounted(device, "-o", "ro") as mount,
        ):
            yield from faults_of_files(mount / "writer", source)
    finally:
        copy.unlink()
