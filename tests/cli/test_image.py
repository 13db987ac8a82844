"""`rehost image` on a data folder with images in it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rehost.cli.app import app
from rehost.compute.driver import BootEvidence, BootVerdict, GuestState, Milestone
from rehost.compute.local import LocalDriver, bootcheck
from rehost.core.agentapi import Register
from rehost.core.server import BootMode, Disk, Inventory
from rehost.store.jobspec import JobSpec
from rehost.store.store import Store
from tests.compute.replicas import CHUNK, sealed

EVIDENCE = BootEvidence(
    BootVerdict(True, "ok", (Milestone("kernel", 2.5), Milestone("login", 41.0))),
    seconds=50.0,
    accelerator="kvm",
    guest=GuestState("degraded", ("broken.service",), ("/ /dev/vda1 ext4",), ("eth0 192.0.2.10/24",)),
    screenshot="screen.png",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two images: m-1 ready and checked, m-2 failed."""
    driver = LocalDriver(tmp_path / "data")
    sealed(driver, "j-1", b"\5" * CHUNK, b"\6" * 4096)
    driver.create_image("m-1", "j-1", "web", description="the shop")
    driver.create_image("m-2", "j-1", "db")
    driver.image("m-1").boot_folder.mkdir()
    bootcheck._write(driver.image("m-1").boot_folder, EVIDENCE)
    driver.record_conversion("m-1", {"changes": [{"path": "/etc/fstab", "reason": "names"}], "notes": ["n"]})
    driver.finish_image("m-1")
    driver.fail_image("m-2", "did not boot")
    return tmp_path / "data"


def rehost(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["image", *arguments, "--data", str(data)])


def test_list_shows_every_image_on_a_line(data: Path) -> None:
    result = rehost(data, "list")
    assert result.exit_code == 0
    title, first, second = result.stdout.splitlines()
    assert title.split()[:3] == ["id", "name", "state"]
    assert first.split()[:3] == ["m-1", "web", "ready"]
    assert "ok" in first.split()
    assert second.split()[:3] == ["m-2", "db", "failed"]
    assert "not yet" in second


def test_list_for_programs(data: Path) -> None:
    first, second = json.loads(rehost(data, "list", "--json").stdout)
    assert (first["id"], first["state"], first["boot_check"]["verdict"]["ok"]) == ("m-1", "ready", True)
    assert [disk["size"] for disk in first["disks"]] == [CHUNK, 4096]
    assert (first["run"], first["space"]["layer"] >= CHUNK, first["space"]["overlay"] > 0) == (
        "r-1",
        True,
        True,
    )
    assert (second["boot_check"], second["error"]) == (None, "did not boot")


def test_show_says_what_the_boot_check_saw(data: Path) -> None:
    shown = rehost(data, "show", "m-1").stdout
    for text in (
        "the shop",
        "/etc/fstab: names",
        "login 41.0 s",
        "kvm",
        "broken.service",
        "/ /dev/vda1 ext4",
        "192.0.2.10/24",
    ):
        assert text in shown
    assert "screen.png" in shown.replace("\n", "")
    assert "did not boot" in rehost(data, "show", "m-2").stdout


def test_show_for_programs(data: Path) -> None:
    shown = json.loads(rehost(data, "show", "m-1", "--json").stdout)
    assert shown["boot_check"]["guest"]["addresses"] == ["eth0 192.0.2.10/24"]
    assert shown["conversion"]["changes"][0]["path"] == "/etc/fstab"
    assert Path(shown["folder"]).is_dir()


@pytest.mark.parametrize("command", ["show", "export", "boot"])
def test_an_unknown_image_is_not_found(data: Path, command: str) -> None:
    result = rehost(data, command, "m-9")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "m-9" in result.stderr


def test_a_folder_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    result = rehost(tmp_path, "list", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["code"] == "DataFolder.Unusable"


def test_export_prints_the_files_and_nothing_else(data: Path, tmp_path: Path) -> None:
    result = rehost(data, "export", "m-1", "--format", "vmdk", "--to", str(tmp_path / "out"))
    assert result.exit_code == 0
    files = [Path(line) for line in result.stdout.splitlines()]
    assert files == [tmp_path / "out/m-1-disk-0.vmdk", tmp_path / "out/m-1-disk-1.vmdk"]
    for file in files:
        output = subprocess.run(["qemu-img", "info", file], check=True, capture_output=True, text=True).stdout
        assert "streamOptimized" in output
        assert "backing file" not in output


def test_export_for_programs(data: Path, tmp_path: Path) -> None:
    result = rehost(data, "export", "m-1", "--format", "raw", "--to", str(tmp_path), "--json")
    assert json.loads(result.stdout) == [
        {"volume": 0, "path": str(tmp_path / "m-1-disk-0.raw"), "format": "raw", "size": CHUNK},
        {"volume": 1, "path": str(tmp_path / "m-1-disk-1.raw"), "format": "raw", "size": 4096},
    ]
    assert (tmp_path / "m-1-disk-0.raw").read_bytes() == b"\5" * CHUNK


def test_formats_and_addresses_are_checked(data: Path) -> None:
    assert rehost(data, "export", "m-1", "--format", "iso").exit_code == 2
    result = rehost(data, "boot", "m-1", "--address", "192.0.2.300/24")
    assert result.exit_code == 2
    assert "192.0.2.10/24" in result.stderr


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    """The data folder has a database, as after a first start."""
    (data / "keys").mkdir()
    (data / "keys/secrets.key").write_bytes(bytes(32))
    with closing(Store.open(data, bytes(32))) as opened:
        yield opened


def test_delete_takes_files_and_record_and_the_replica_with_the_last_image(data: Path, store: Store) -> None:
    driver = LocalDriver(data)
    _, code = store.codes.create("one", "test")
    server = store.servers.register(Register(code, "a" * 64, _INVENTORY, "0.1"))
    record = store.images.reserve(store.jobs.create("one", JobSpec(server.id), None, "k"), "r-1")
    driver.create_image(record.id, "j-1", "recorded")
    assert rehost(data, "delete", record.id).exit_code == 1  # it is being built
    driver.finish_image(record.id)
    driver.discard_replica("j-1")
    for image_id in (record.id, "m-1"):
        assert rehost(data, "delete", image_id).exit_code == 0
    assert store.images.all() == ()
    assert driver.has_replica("j-1")
    assert json.loads(rehost(data, "delete", "m-2", "--json").stdout) == {"deleted": "m-2"}
    assert not driver.has_replica("j-1")
    assert rehost(data, "delete", "m-2").exit_code == 3


_INVENTORY = Inventory(
    "web1", "Debian", "x86_64", "6.1.0", BootMode.BIOS, 2, 4 << 30, (Disk(0, "/dev/sda", 8 << 30),)
)
