"""A real server that one job copies again and again, before and after its restart: each image boots."""

import json
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from demo import source_machine
from demo.control_plane import PROGRAM, ControlPlane
from demo.migration import Migration
from demo.source_server import CONTROL_PLANE, SourceServer
from rehost.block.layer import chain
from rehost.cli import jobview
from rehost.machine import accel
from tests.migration.ledger import sealed_roots

pytestmark = [pytest.mark.vm, pytest.mark.lab, pytest.mark.timeout(3000)]

MIB = 1 << 20
CHANGED = 8 * MIB
KEPT = 2
# What changes from run to run is asked for last; what never does, and lies in the lowest layer only, before.
BOOT_CHECK = (
    "set -e; cd /srv/data; sha256sum --quiet -c SHA256SUMS; cd /root; sha256sum -c --quiet SUM; cat SUM"
)


class Job:
    """As its owner steers it: by the command line."""

    def __init__(self, plane: ControlPlane, source: str) -> None:
        self._plane = plane
        parameters = json.dumps({"boot_check_command": BOOT_CHECK})
        wishes = ("--every", "24", "--keep", str(KEPT), "--parameters", parameters)
        self.id = self._api("job", "create", source, *wishes)["JobId"]

    def run(self) -> str:
        """The image that comes of it."""
        done = self._api("job", "start", self.id, "--watch")
        assert done["Status"] == "Waiting"
        return str(done["ImageId"])

    def copied(self) -> dict[str, Any]:
        """How the last run's copy went."""
        copy: dict[str, Any] = jobview.status_info(self._api("job", "show", self.id))["copy"]
        return copy

    def images(self) -> list[str]:
        return [image["id"] for image in self._data("image", "list")]

    def image(self, image: str) -> dict[str, Any]:
        shown: dict[str, Any] = self._data("image", "show", image)
        return shown

    def export(self, image: str, to: Path) -> list[str]:
        exported = self._data("image", "export", image, "--format", "qcow2", "--to", str(to))
        return [disk["path"] for disk in exported]

    def _api(self, *words: str) -> Any:
        return rehost(*words, "--profile-file", str(self._plane.first_access_key))

    def _data(self, *words: str) -> Any:
        return rehost(*words, "--data", str(self._plane.data))


def rehost(*words: str) -> Any:
    done = subprocess.run([PROGRAM, *words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]} {done.stderr}"
    return json.loads(done.stdout)


def write(server: SourceServer) -> str:
    """Something new in the root file system, and its sum; neither is synced."""
    make = f"cd /root && head -c {CHANGED} /dev/urandom >changing && sha256sum changing | tee SUM"
    return server.run(make).decode()


def boot_said(job: Job, image: str) -> str:
    shown = job.image(image)
    assert shown["boot_check"]["verdict"]["ok"]
    return (Path(shown["folder"]) / "boot/output.txt").read_text()


def test_runs_before_and_after_a_restart_of_the_source(tmp_path: Path, cache: Path) -> None:
    source = source_machine.build(cache)
    data = tmp_path / "data"
    with (
        closing(ControlPlane(data, cache, tmp_path / "serve.log")) as plane,
        SourceServer(source, tmp_path, plane.ports, accel.choose(cache)) as server,
    ):
        server.wait_for_login()
        server.run(plane.activation_line(CONTROL_PLANE), timeout=300)
        migration = Migration(plane.first_access_key)
        job = Job(plane, migration.wait_for_source())
        replica = data / "replicas" / job.id

        sums, images = [write(server)], [job.run()]
        baseline = job.copied()
        assert boot_said(job, images[0]) == sums[0]
        assert all("no earlier run is known" in basis for basis in baseline["basis"])

        sums.append(write(server))
        images.append(job.run())
        tracked = job.copied()
        assert boot_said(job, images[1]) == sums[1]
        assert ["writes were tracked" in basis for basis in tracked["basis"]] == [True, True]
        assert CHANGED <= tracked["sent"] < baseline["sent"] / 4
        assert CHANGED <= tracked["read"] < baseline["read"] / 4
        before = job.export(images[1], tmp_path / "before")
        roots = sealed_roots(replica)

        sums.append(write(server))
        boot = server.boot_id()
        server.restart()
        assert server.boot_id() != boot
        migration.wait_for_source()  # it was missing for so long that no job can start
        images.append(job.run())
        compared = job.copied()
        assert boot_said(job, images[2]) == sums[2]
        assert all("compared by digest" in basis for basis in compared["basis"])
        assert compared["read"] > baseline["read"] * 0.9, "all used blocks"
        assert CHANGED <= compared["sent"] < baseline["sent"] / 4

        assert job.images() == images[1:]
        assert len(chain(replica)) == KEPT
        assert json.loads((chain(replica)[0].path / "sealed.json").read_text())["roots"] == roots
        disks = [disk["path"] for disk in job.image(images[1])["disks"]]
        for disk, exported in zip(disks, before, strict=True):
            subprocess.run(["qemu-img", "compare", disk, exported], check=True)
