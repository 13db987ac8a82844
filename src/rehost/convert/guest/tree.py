"""A guest's files below a mount point, and the record of what is changed in them."""

import difflib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Content:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Change:
    path: str  # as the guest sees it
    kind: str  # edited, created, removed, appended
    reason: str
    diff: str = ""  # unified, of text files
    before: Content | None = None
    after: Content | None = None


class Tree:
    """Paths are the guest's, absolute; symbolic links are followed inside of the guest, never out of it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, path: str) -> Path:
        """Where a guest's path is here; the last part need not exist."""
        todo, at, links = _parts(path), self.root, 0
        while todo:
            part = todo.pop()
            if part == "..":
                at = at.parent if at != self.root else at
            elif (at / part).is_symlink() and links < MOST_LINKS:
                links += 1
                target = os.readlink(at / part)
                at = self.root if target.startswith("/") else at
                todo += _parts(target)
            else:
                at = at / part
        return at

    def exists(self, path: str) -> bool:
        return self.place(path).exists()

    def read(self, path: str) -> str:
        """A text file; empty if there is none."""
        place = self.place(path)
        return _decode(place.read_bytes()) if place.is_file() else ""

    def glob(self, folder: str, pattern: str) -> list[str]:
        """Guest paths of what is in a folder, sorted."""
        return [f"{folder}/{found.name}" for found in sorted(self.place(folder).glob(pattern))]


@dataclass(slots=True)
class Changes:
    """Writes to a tree; each write that changes something is a Change, one that does not is nothing."""

    tree: Tree
    made: list[Change] = field(default_factory=list)

    def edit(self, path: str, reason: str, change: Callable[[str], str]) -> None:
        """Change a text file that is there; a missing file stays missing."""
        place = self.tree.place(path)
        if not place.is_file():
            return
        before = place.read_bytes()
        after = _encode(change(_decode(before)))
        if after != before:
            place.write_bytes(after)
            self._record(path, "edited", reason, before, after)

    def create(self, path: str, reason: str, text: str) -> None:
        """Write a text file, whether or not it is there."""
        place = self.tree.place(path)
        if place.exists():
            self.edit(path, reason, lambda _: text)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_encode(text))
        place.chmod(0o644)
        self._record(path, "created", reason, b"", _encode(text))

    def link(self, path: str, reason: str, target: str) -> None:
        """Make a symbolic link where nothing is yet."""
        place = self._unresolved(path)
        if place.is_symlink() or place.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        self.made.append(Change(path, "created", reason, f"symbolic link to {target}\n"))

    def remove(self, path: str, reason: str) -> None:
        place = self._unresolved(path)
        if not place.is_symlink() and not place.is_file():
            return
        before = b"" if place.is_symlink() else place.read_bytes()
        place.unlink()
        self._record(path, "removed", reason, before, b"")

    def append(self, path: str, reason: str, data: Callable[[bytes], bytes]) -> None:
        """Change a binary file, mostly its end; `data` gets the present content and returns the new one."""
        place = self.tree.place(path)
        before = place.read_bytes()
        after = data(before)
        if after != before:
            with place.open("r+b") as file:  # in place: the file keeps its owner, mode and attributes
                kept = len(before) if after.startswith(before) else 0
                file.seek(kept)
                file.write(after[kept:])
                file.truncate()
            self.made.append(Change(path, "appended", reason, "", content(before), content(after)))

    def _unresolved(self, path: str) -> Path:
        """The place of a link itself rather than of what it points to."""
        folder, _, name = path.rpartition("/")
        return self.tree.place(folder or "/") / name

    def _record(self, path: str, kind: str, reason: str, before: bytes, after: bytes) -> None:
        self.made.append(
            Change(
                *(path, kind, reason, _diff(path, before, after)),
                before=content(before) if kind != "created" else None,
                after=content(after) if kind != "removed" else None,
            )
        )


def content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest())


def _diff(path: str, before: bytes, after: bytes) -> str:
    old, new = (data.decode(errors="backslashreplace").splitlines(keepends=True) for data in (before, after))
    lines = difflib.unified_diff(old, new, f"a{path}", f"b{path}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _parts(path: str) -> list[str]:
    """A path's parts, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _decode(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
