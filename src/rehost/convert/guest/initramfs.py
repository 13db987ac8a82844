"""Virtio for an initramfs that was made for other hardware: a second archive behind the present one.

The kernel unpacks one archive after the other into the same file system, so that what is appended adds to the
image or replaces files in it, whatever made the image and however it is compressed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import cpio
from .modules import VIRTIO, ModuleIndex

_MARK = "etc/rehost-appended"  # the first entry of our archive, by which it is found again
_LIB = "lib/modules"  # `lib` may be a link to usr/lib: it gets no entry of its own
_PRESENT = ("lib", "etc")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of the guest with its modules and its initramfs; paths are the helper VM's."""

    version: str
    modules: Path  # the folder with modules.dep
    index: ModuleIndex


def addition(kernel: Kernel, files: Sequence[cpio.Entry]) -> bytes:
    """The archive for one kernel: virtio modules with what they need, the index files, and other files."""
    paths = kernel.index.closure(VIRTIO)
    present = sorted(file.name for file in kernel.modules.glob("modules.*"))
    # The binary index of a text file is what modprobe reads; the text would only make the image larger.
    wanted = [*paths, *(name for name in present if f"{name}.bin" not in present)]
    base = f"{_LIB}/{kernel.version}"
    entries = [cpio.file(f"{base}/{path}", (kernel.modules / path).read_bytes()) for path in wanted]
    marked = [cpio.file(_MARK, kernel.version.encode()), *entries, *files]
    return cpio.archive(cpio.with_folders(marked, _PRESENT))


def with_addition(image: bytes, archive: bytes) -> bytes:
    """An initramfs with our archive at its end, in place of an earlier one of ours."""
    start = image.find(archive[: _mark_length(archive)])
    kept = image if start < 0 else image[:start]
    return kept + cpio.padding(len(kept)) + archive


def _mark_length(archive: bytes) -> int:
    return archive.index(_MARK.encode()) + len(_MARK)
