"""The agent's one file: built, run on an older distribution that has no Python, damaged, repeated."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rehost
from rehost.agent.install import bundle
from rehost.agent.install.bundle import Bundle
from rehost.agent.install.bundling import elf, parts
from rehost.agent.install.bundling.parts import Part
from tests.agent.oldsystem import CACHE, OldSystem
from tests.loopdisks import LoopDisks

MIB = 1 << 20
EVERYTHING = """
import pkgutil, rehost
for module in pkgutil.walk_packages(rehost.__path__, "rehost."):
    if not module.name.endswith("__main__"):
        print(module.name)
        __import__(module.name)
"""


@pytest.fixture(scope="module")
def built() -> Bundle:
    return bundle.build(CACHE / "agent")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, built: Bundle) -> Iterator[OldSystem]:
    system = OldSystem.unpack(tmp_path_factory.mktemp("old") / "root")
    shutil.copy(built.path, system.root / "root/rehost-agent")
    yield system
    shutil.rmtree(system.root)


@pytest.fixture(scope="module")
def python(old: OldSystem) -> str:
    """The agent's own interpreter inside the old system."""
    old.run("env", "REHOST_AGENT_HOME=/opt/tried", "/root/rehost-agent", "--version")
    (home,) = (old.root / "opt/tried").iterdir()
    return f"/opt/tried/{home.name}/bin/python3"


def test_it_is_one_small_file(built: Bundle) -> None:
    assert built.size == built.path.stat().st_size <= 20 * MIB


def test_the_same_content_is_the_same_file(built: Bundle, tmp_path: Path) -> None:
    again = bundle.build(tmp_path)
    assert (again.sha256, again.path.name) == (built.sha256, built.path.name)


def test_it_is_built_once(tmp_path: Path, built: Bundle) -> None:
    (tmp_path / built.path.name).write_bytes(b"what a build left here")
    assert bundle.build(tmp_path).path.read_bytes() == b"what a build left here"


def test_other_content_has_another_name(tmp_path: Path) -> None:
    found = parts.collect()
    changed = tmp_path / "errors.py"
    changed.write_text("# changed\n")
    other = [Part(p.name, changed) if p.name.endswith("core/errors.py") else p for p in found]
    assert bundle.identity(other) != bundle.identity(found) == bundle.identity(parts.collect())


def test_the_old_system_has_neither_python_nor_our_c_library(old: OldSystem, python: str) -> None:
    assert (
        old.run("sh", "-c", "! command -v python3 && ls /usr/lib/python3* 2>/dev/null | wc -l").strip() == "0"
    )
    theirs = old.run("ldd", "--version").split("\n")[0].split()[-1]
    ours = old.run(python, "-c", "import os; print(os.confstr('CS_GNU_LIBC_VERSION'))").split()[-1]
    assert theirs == "2.31"
    assert ours != theirs


def test_the_inventory_works_on_the_old_system(old: OldSystem, disks: LoopDisks) -> None:
    path = disks.make(64 * MIB, "ext4", mounted=False).path
    found = json.loads(old.run("sh", "/root/rehost-agent", "inventory", "--json", "--disk", path))
    assert (found["platform"], found["platform_version"]) == ("Debian", "11")
    assert found["disks"][0]["partitions"][0]["filesystem"] == "ext4"


def test_all_of_the_agents_modules_load_there(old: OldSystem, python: str) -> None:
    loaded = old.run(python, "-c", EVERYTHING).split()
    assert {"rehost.agent.copy.run", "rehost.track.watchdog", "rehost.wire.tls"} <= set(loaded)
    assert not [name for name in loaded if "bundling" in name or ".cli" in name]


def test_its_packages_work_there(old: OldSystem, python: str) -> None:
    script = (
        "import blake3, msgspec, ssl, zstandard, ctypes, mmap, socket;"
        "data = b'x' * 100000;"
        "assert zstandard.decompress(zstandard.compress(data)) == data;"
        "print(blake3.blake3(b'').hexdigest()[:8], msgspec.json.encode({'a': 1}).decode());"
        "print(ssl.OPENSSL_VERSION)"
    )
    assert old.run(python, "-c", script).startswith('af1349b9 {"a":1}\nOpenSSL 3.')


def test_the_interpreter_can_start_itself_as_the_watchdog_is_started(old: OldSystem, python: str) -> None:
    inner = "import sys, rehost; print(sys.executable, rehost.__version__)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    assert old.run(python, "-c", script).split() == [python, rehost.__version__]


def test_it_unpacks_once_and_leaves_nothing_in_the_temporary_folder(old: OldSystem, python: str) -> None:
    before = [(entry.name, entry.stat().st_ino) for entry in (old.root / "opt/tried").iterdir()]
    old.run("env", "REHOST_AGENT_HOME=/opt/tried", "/root/rehost-agent", "--version")
    assert [(entry.name, entry.stat().st_ino) for entry in (old.root / "opt/tried").iterdir()] == before
    old.run("sh", "/root/rehost-agent", "--version")
    assert list((old.root / "tmp").iterdir()) == []
    assert not (old.root / "opt/rehost-agent").exists()  # only install and run put it there


def test_exit_codes_come_through(old: OldSystem) -> None:
    assert "invalid choice" in old.run("sh", "/root/rehost-agent", "nonsense", code=2)
    assert "not registered" in old.run("sh", "/root/rehost-agent", "status", code=78)
    assert "there is no disk /dev/nope" in old.run(
        "sh", "/root/rehost-agent", "inventory", "--disk", "/dev/nope", code=1
    )


@pytest.mark.parametrize("missing", [1, 100_000])
def test_a_file_that_was_cut_off_says_so_and_leaves_nothing(
    missing: int, built: Bundle, old: OldSystem
) -> None:
    (old.root / "root/cut").write_bytes(built.path.read_bytes()[:-missing])
    said = old.run("env", "REHOST_AGENT_HOME=/opt/cut", "sh", "/root/cut", "--version", code=1)
    assert "cannot unpack" in said
    assert list((old.root / "opt/cut").iterdir()) == []


def test_two_that_unpack_at_the_same_time_do_not_disturb_each_other(old: OldSystem) -> None:
    one = "sh /root/rehost-agent --version"
    assert (
        old.run("sh", "-c", f"export REHOST_AGENT_HOME=/opt/race; {one} & {one}; wait").split()
        == ["rehost-agent", rehost.__version__] * 2
    )
    assert len(list((old.root / "opt/race").iterdir())) == 1


def test_another_architecture_is_refused(built: Bundle, tmp_path: Path) -> None:
    content = built.path.read_bytes()
    machine = os.uname().machine.encode()
    other = tmp_path / "rehost-agent"
    other.write_bytes(content.replace(b'"' + machine + b'"', b'"mips12"'.ljust(len(machine) + 2), 1))
    done = subprocess.run(["sh", other, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is for" in done.stderr


def test_trimmed_libraries_are_smaller_and_the_same_where_it_counts() -> None:
    content = parts.interpreter().read_bytes()
    short = elf.trimmed(content)
    assert len(short) < len(content)
    assert short[64:] == content[64 : len(short)]
    assert elf.loader(short) == elf.loader(content) != ""
    assert not elf.is_elf(b"#!/bin/sh")


def test_it_can_be_built_from_debians_python(tmp_path: Path, old: OldSystem) -> None:
    """The packages come from where this process has them: their binaries fit the same version of Python."""
    folders = [
        Path(importlib.import_module(name).__file__).parents[1] for name in ("rehost", *parts.PACKAGES)
    ]
    script = (
        "import pathlib, rehost.agent.install.bundle as b;"
        f" print(b.build(pathlib.Path({str(tmp_path)!r})).path)"
    )
    assert sys.version_info[:2] == (3, 11), "this test is for Debian 12's version"
    made = subprocess.run(
        ["/usr/bin/python3", "-c", script],
        env={"PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.copy(made.stdout.strip(), old.root / "root/debians-agent")
    home = "REHOST_AGENT_HOME=/opt/debians"
    assert "rehost-agent" in old.run("env", home, "sh", "/root/debians-agent", "--version")
    (unpacked,) = (old.root / "opt/debians").iterdir()
    old.run(f"/opt/debians/{unpacked.name}/bin/python3", "-c", EVERYTHING)
