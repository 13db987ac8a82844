"""A mounted source disk, copied again and again by a real agent: each run costs what was written since."""

import os
from contextlib import closing
from pathlib import Path

from demo.migration import Migration
from rehost.block.layer import chain
from rehost.cli import datafolder
from rehost.core.job import JobState
from tests.cli.serving import ControlPlane
from tests.loopdisks import LoopDisks
from tests.migration.images import flat
from tests.migration.source import Agent

MIB = 1 << 20
SIZE = 256 * MIB
CHANGED = 4 * MIB


def test_each_image_has_the_files_of_its_run_and_a_layer_is_as_large_as_the_change(
    disks: LoopDisks, cache: Path, tmp_path: Path
) -> None:
    disk = disks.make(SIZE, "ext4", ("-q",))
    assert disk.mount is not None
    (disk.mount / "constant").write_bytes(os.urandom(64 * MIB))
    data = tmp_path / "data"
    data.mkdir()
    with closing(ControlPlane(data, cache)) as plane, closing(Agent(tmp_path / "agent", disk.path)) as agent:
        plane.start()
        with closing(datafolder.open_store(data)) as store:
            _, code = store.codes.create("default", "test")
        registered = agent.register(plane.endpoint, data / "keys/ca.crt", code)
        assert registered.returncode == 0, registered.stderr
        agent.start()
        source = Migration(data / "first-access-key.json").wait_for_source()
        wishes = {"SourceId": source, "RegionId": "local", "RunOnce": "false", "Frequency": 24}
        job = plane.client().call("CreateReplicationJob", {**wishes, "MaxNumberOfImageToKeep": 2})["JobId"]
        images, contents, layers = [], [], []
        for _ in range(3):
            content = os.urandom(CHANGED)
            (disk.mount / "changing").write_bytes(content)
            plane.client().call("StartReplicationJob", {"JobId": job})
            images.append(plane.until_state(job, JobState.WAITING).image_id)
            contents.append(content)
            layers.append(allocated(chain(data / "replicas" / job)[-1].path))
    assert len(chain(data / "replicas" / job)) == 2
    assert layers[0] > 64 * MIB
    assert [layer < 2 * CHANGED for layer in layers[1:]] == [True, True]
    for image, content in zip(images[1:], contents[1:], strict=True):
        copy = flat(data / "images" / image, tmp_path)
        with disks.attached(copy) as device, disks.mounted(device) as mount:
            assert (mount / "changing").read_bytes() == content
            assert (mount / "constant").read_bytes() == (disk.mount / "constant").read_bytes()


def allocated(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.iterdir())
