"""A file system in memory that knows what of it would survive a loss of power.

The strictest disk that programs may meet: bytes of a file are safe after an fsync of the file, and names in
a folder after an fsync of the folder. Of all else a loss of power keeps any part, by sectors and by single
names.
"""

import errno
import random
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SECTOR = 512


@dataclass(eq=False)
class Node:
    """A file or a folder: what is there, and what of it is safe."""

    number: int
    mode: int
    content: bytearray = field(default_factory=bytearray)
    entries: "dict[str, Node]" = field(default_factory=dict)
    safe_content: bytearray = field(default_factory=bytearray)
    safe_entries: "dict[str, Node]" = field(default_factory=dict)
    unsafe: set[int] = field(default_factory=set)  # numbers of sectors
    modified: float = field(default_factory=time.time)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def write(self, offset: int, data: bytes) -> None:
        self.resize(max(len(self.content), offset + len(data)))
        self.content[offset : offset + len(data)] = data
        self._touch(offset, offset + len(data))

    def resize(self, size: int) -> None:
        before = len(self.content)
        if size < before:
            del self.content[size:]
        elif size > before:
            self.content.extend(bytes(size - before))
        self._touch(min(size, before), max(size, before))

    def sync(self) -> None:
        """Only what changed is copied: volumes are large."""
        size = len(self.content)
        del self.safe_content[size:]
        self.safe_content.extend(bytes(size - len(self.safe_content)))
        for sector in self.unsafe:
            start, end = sector * SECTOR, min((sector + 1) * SECTOR, size)
            if start < end:
                self.safe_content[start:end] = self.content[start:end]
        self.unsafe.clear()

    def survive(self, keeps: Callable[[], bool]) -> None:
        """Power was lost: `keeps` says of each sector, and of the length, whether the new one is there."""
        found = bytearray(self.safe_content)
        size = len(self.content) if self.unsafe and keeps() else len(found)
        for sector in sorted(self.unsafe):
            start, end = sector * SECTOR, min((sector + 1) * SECTOR, len(self.content), size)
            if start < end and keeps():
                found.extend(bytes(max(end - len(found), 0)))
                found[start:end] = self.content[start:end]
        del found[size:]
        found.extend(bytes(size - len(found)))
        self.content, self.safe_content = found, bytearray(found)
        self.unsafe.clear()
        self.entries = dict(self.safe_entries)

    def _touch(self, start: int, end: int) -> None:
        self.modified = time.time()
        if start < end:
            self.unsafe.update(range(start // SECTOR, (end - 1) // SECTOR + 1))


@dataclass(frozen=True)
class _Change:
    """A name that appears (`to`), goes (`of`), or moves."""

    node: Node
    of: tuple[Node, str] | None
    to: tuple[Node, str] | None

    @property
    def folders(self) -> list[Node]:
        return [place[0] for place in (self.of, self.to) if place is not None]

    def happen(self) -> None:
        """Whole or not at all, and not if what it moves or takes away never came there."""
        if self.of is not None:
            folder, name = self.of
            if folder.safe_entries.get(name) is not self.node:
                return
            del folder.safe_entries[name]
        if self.to is not None:
            folder, name = self.to
            folder.safe_entries[name] = self.node


class Tree:
    """Paths are not known here: nodes are found by their folder and name, as the kernel does."""

    def __init__(self) -> None:
        self.root = Node(1, stat.S_IFDIR | 0o755)
        self.nodes = {1: self.root}
        self._changes: list[_Change] = []
        self._last = 1

    def find(self, folder: Node, name: str) -> Node:
        try:
            return folder.entries[name]
        except KeyError:
            raise OSError(errno.ENOENT, name) from None

    def make(self, folder: Node, name: str, mode: int) -> Node:
        if name in folder.entries:
            raise OSError(errno.EEXIST, name)
        self._last += 1
        node = self.nodes[self._last] = Node(self._last, mode)
        folder.entries[name] = node
        self._changes.append(_Change(node, None, (folder, name)))
        return node

    def remove(self, folder: Node, name: str) -> None:
        node = self.find(folder, name)
        if node.entries:
            raise OSError(errno.ENOTEMPTY, name)
        del folder.entries[name]
        self._changes.append(_Change(node, (folder, name), None))

    def rename(self, folder: Node, name: str, target: Node, new: str) -> None:
        node = self.find(folder, name)
        if target.entries[new].entries if new in target.entries else False:
            raise OSError(errno.ENOTEMPTY, new)
        del folder.entries[name]
        target.entries[new] = node
        self._changes.append(_Change(node, (folder, name), (target, new)))

    def sync_folder(self, folder: Node) -> None:
        """What happened in it, in order; with a move between folders also what was before it in the other."""
        touched, kept = {folder.number}, list[_Change]()
        for change in reversed(self._changes):
            if any(each.number in touched for each in change.folders):
                touched.update(each.number for each in change.folders)
                kept.append(change)
        for change in reversed(kept):
            change.happen()
        self._changes = [change for change in self._changes if change not in kept]

    def lose_power(self, choose: random.Random | None) -> None:
        """Without `choose` all that was not synced is lost."""

        def keeps() -> bool:
            return choose is not None and choose.random() < 0.5

        for change in self._changes:
            if keeps():
                change.happen()
        self._changes.clear()
        self.nodes = {node.number: node for node in self._safe(self.root)}
        for node in self.nodes.values():
            node.survive(keeps)

    def _safe(self, node: Node) -> Iterator[Node]:
        yield node
        for below in node.safe_entries.values():
            yield from self._safe(below)
