"""Real disks for tests: files behind loop devices, with file systems on them."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True)
class LoopDisk:
    path: str  # /dev/loop7
    image: Path  # the file behind it
    mount: Path | None  # where its file system is mounted

    @property
    def number(self) -> int:
        return os.stat(self.path).st_rdev

    @property
    def size(self) -> int:
        return self.image.stat().st_size


@contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


class LoopDisks:
    """Makes disks in a folder; `close` unmounts and detaches what it made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._undo: list[tuple[str | Path, ...]] = []

    def make(
        self, size: int, kind: str = "", options: tuple[str, ...] = (), mounted: bool = True
    ) -> LoopDisk:
        """A disk of `size` bytes, with a file system on the whole of it if `kind` says which."""
        number = len(self._undo)
        image = self._folder / f"disk-{number}.img"
        with image.open("wb") as file:
            file.truncate(size)
        if kind:
            run(f"mkfs.{kind}", *options, image)
        path = self.attach(image)
        return LoopDisk(path, image, self.mount(path) if kind and mounted else None)

    def attach(self, image: Path) -> str:
        path = run("losetup", "--find", "--show", "--partscan", image)
        self._undo.append(("losetup", "--detach", path))
        return path

    def mount(self, device: str, *options: str) -> Path:
        mount = self._folder / f"mount-{len(self._undo)}"
        mount.mkdir()
        run("mount", *options, device, mount)
        self._undo.append(("umount", mount))
        return mount

    @contextmanager
    def attached(self, image: Path, *options: str) -> Iterator[str]:
        path = run("losetup", "--find", "--show", *options, image)
        try:
            yield path
        finally:
            run("losetup", "--detach", path)

    @contextmanager
    def mounted(self, device: str, *options: str) -> Iterator[Path]:
        mount = self._folder / "mounted"
        mount.mkdir(exist_ok=True)
        run("mount", *options, device, mount)
        try:
            yield mount
        finally:
            wait_until_unmounted(mount)

    def close(self) -> None:
        for command in reversed(self._undo):
            if command[0] == "umount":
                wait_until_unmounted(command[1])
            else:
                run(*command)


def wait_until_unmounted(mount: str | Path) -> None:
    """A process that just ended, a watchdog for example, may hold a descriptor a moment longer."""
    for _ in range(100):
        if subprocess.run(["umount", mount], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    run("umount", mount)


@contextmanager
def loop_disks(folder: Path) -> Iterator[LoopDisks]:
    disks = LoopDisks(folder)
    try:
        yield disks
    finally:
        disks.close()


def fill(folder: Path) -> Path:
    """Take every byte that is left on the file system of a folder, by the file that is returned."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    os.sync()
    return ballast


def write(disk: LoopDisk, offset: int, length: int) -> None:
    """Random bytes past any file system, durable when this returns."""
    with open(disk.path, "r+b") as file:
        file.seek(offset)
        file.write(os.urandom(length))
        file.flush()
        os.fsync(file.fileno())
