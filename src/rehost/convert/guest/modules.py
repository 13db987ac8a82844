"""Kernel modules: what needs what, and which of them an initramfs for virtio hardware must have. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

VIRTIO = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "virtio_net")
NEEDED = ("virtio_pci", "virtio_blk")  # without these there is no disk at all


@dataclass(frozen=True, slots=True)
class ModuleIndex:
    """modules.dep and modules.builtin of one kernel; paths are relative to the folder they stand in."""

    paths: dict[str, str]  # module name -> path
    needs: dict[str, tuple[str, ...]]  # path -> paths that are loaded before it, nearest first
    builtin: frozenset[str]  # module names

    def has(self, name: str) -> bool:
        return name in self.paths or name in self.builtin

    def closure(self, names: Iterable[str]) -> list[str]:
        """Paths of the modules and all they need, in an order in which they can be loaded."""
        order: list[str] = []
        for name in names:
            if (path := self.paths.get(name)) is not None:
                order += [p for p in (*reversed(self.needs[path]), path) if p not in order]
        return order


def module_name(path: str) -> str:
    """kernel/drivers/block/virtio-blk.ko.xz -> virtio_blk"""
    return re.sub(r"\.ko(\.\w+)?$", "", path.rpartition("/")[2]).replace("-", "_")


def index(dep: str, builtin: str) -> ModuleIndex:
    """From the text of modules.dep and modules.builtin."""
    needs = {}
    for line in dep.splitlines():
        path, colon, rest = line.partition(":")
        if colon:
            needs[path.strip()] = tuple(rest.split())
    return ModuleIndex(
        {module_name(path): path for path in needs}, needs, frozenset(map(module_name, builtin.split()))
    )


def with_modules(text: str, names: Iterable[str]) -> str:
    """/etc/initramfs-tools/modules with these modules in it, whatever MODULES= says at the next rebuild."""
    present = {line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")}
    missing = [name for name in names if name not in present]
    if not missing:
        return text
    lines = ["# for virtio hardware", *missing]
    return text + ("" if text.endswith("\n") or not text else "\n") + "\n".join(lines) + "\n"
