"""Building the helper VM: once per recipe, into the cache."""

import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rehost.convert import recipe
from rehost.convert.cache import built_once
from rehost.convert.guest import cpio, modules
from rehost.core.errors import ConversionError
from rehost.machine.programs import find

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HelperVm:
    """A build on disk."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "kernel"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def system(self) -> Path:
        return self.folder / "system.squashfs"


def get(cache: Path, progress: Progress = lambda _: None) -> HelperVm:
    """The helper VM, built (about half a minute and 150 MB of downloads) when the cache does not have it."""

    def build(folder: Path) -> None:
        progress("building the helper VM (once)")
        _build(folder)

    return HelperVm(built_once(cache / "helper-vm" / recipe.identity(), build))


def _build(folder: Path) -> None:
    mksquashfs = find("mksquashfs")
    tar = folder / "system.tar"
    _debootstrap(tar)
    with tarfile.open(tar) as system:
        members = {member.name.removeprefix("./"): member for member in system if member.isfile()}

        def read(name: str) -> bytes:
            file = system.extractfile(members[name])
            assert file is not None
            return file.read()

        (kernel,) = (name for name in members if name.startswith("boot/vmlinuz-"))
        version = kernel.removeprefix("boot/vmlinuz-")
        (folder / "kernel").write_bytes(read(kernel))
        (folder / "initrd").write_bytes(_initrd(read, f"lib/modules/{version}"))
    with tar.open("rb") as stream:
        target = str(folder / "system.squashfs")
        _run([str(mksquashfs), "-", target, "-tar", *recipe.COMPRESSION, "-no-progress", "-quiet"], stream)
    tar.unlink()


def _initrd(read: Callable[[str], bytes], folder: str) -> bytes:
    index = modules.index(*(read(f"{folder}/modules.{kind}").decode() for kind in ("dep", "builtin")))
    order = index.closure(recipe.INITRD_MODULES)
    drivers = [cpio.file(f"modules/{path.rpartition('/')[2]}", read(f"{folder}/{path}")) for path in order]
    names = "".join(f"{path.rpartition('/')[2]}\n" for path in order)
    entries = [
        cpio.file("init", recipe.INIT.encode(), 0o755),
        cpio.file("bin/busybox", read("bin/busybox"), 0o755),
        *(cpio.symlink(f"bin/{name}", "busybox") for name in recipe.COMMANDS),
        cpio.file("modules/order", names.encode()),
        *drivers,
    ]
    return cpio.archive(cpio.with_folders(entries))


def _debootstrap(tar: Path) -> None:
    argv = [str(find("mmdebstrap")), "--quiet", f"--variant={recipe.VARIANT}", "--format=tar"]
    argv += [f"--include={','.join(recipe.PACKAGES)}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.LEFT_OUT]
    argv += [f"--extract-hook={hook}" for hook in recipe.HOOKS]
    argv += [recipe.SUITE, str(tar), *([recipe.MIRROR] if recipe.MIRROR else [])]
    _run(argv)


def _run(argv: Sequence[str], stdin: IO[bytes] | None = None) -> None:
    done = subprocess.run(argv, stdin=stdin or subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()[-2000:]
        raise ConversionError(
            f"the helper VM could not be built: {Path(argv[0]).name} ended with {done.returncode}: {text}",
            "the host has to reach a Debian mirror once; then try again",
        )
