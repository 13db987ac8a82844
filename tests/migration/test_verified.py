"""What an agent has copied to a control plane that runs is verified on both sides."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from demo.migration import Migration
from rehost.cli import datafolder
from rehost.core.job import JobState
from tests.agent.test_main import agent
from tests.cli.serving import ControlPlane
from tests.loopdisks import LoopDisks, run
from tests.migration.source import Agent

MIB = 1 << 20


def rehost(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rehost.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_image_and_source_equal_what_was_copied_until_one_of_them_changes(
    disks: LoopDisks, cache: Path, tmp_path: Path
) -> None:
    disk = disks.make(64 * MIB, "ext4")
    assert disk.mount is not None
    (disk.mount / "kept").write_bytes(b"kept" * MIB)
    run("umount", disk.mount)
    run("mount", "-o", "ro", disk.path, disk.mount)
    data, digests = tmp_path / "data", tmp_path / "digests"
    with closing(ControlPlane(data, cache)) as plane, closing(Agent(tmp_path / "agent", disk.path)) as source:
        plane.start()
        with closing(datafolder.open_store(data)) as store:
            code = store.codes.create("default", "test", days=1)[1]
        assert source.register(plane.endpoint, data / "keys/ca.crt", code).returncode == 0
        source.start()
        migration = Migration(data / "first-access-key.json")
        job = migration.create_job(migration.wait_for_source(), {})
        migration.start_job(job)
        plane.until_state(job, JobState.FINISHED)
        # Not by the SDK: its types know the reference's fields only.
        shown = rehost("job", "show", job, "--profile-file", data / "first-access-key.json", "--json")
    job_shown = json.loads(shown.stdout)
    image = job_shown["ImageId"]

    whole = rehost("verify", image, "--data", data, "--json")
    assert whole.returncode == 0, whole.stderr
    (found,) = json.loads(whole.stdout)["disks"]
    (told,) = job_shown["ReplicationJobRuns"]["ReplicationJobRun"]
    assert found["root"] == told["Roots"]
    assert rehost("verify", image, "--data", data, "--digests", digests).returncode == 0
    assert agent("verify", digests, "--disk", disk.path).returncode == 0
    assert rehost("verify", image, "--data", data, "--against", f"0={disk.path}").returncode == 0

    run("mount", "-o", "remount,rw", disk.mount)
    (disk.mount / "kept").write_bytes(b"lost" * MIB)
    run("sync", "-f", disk.mount)
    for differing in (
        agent("verify", digests, "--disk", disk.path),
        rehost("verify", image, "--data", data, "--against", f"0={disk.path}"),
    ):
        assert differing.returncode == 5
        assert f"0_0 {disk.path} ext4 {disk.mount}" in differing.stdout
    assert rehost("verify", image, "--data", data).returncode == 0
