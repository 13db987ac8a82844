"""The newc cpio format, as the kernel unpacks it into an initramfs. Pure; equal entries give equal bytes."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"
_ALIGNMENT = 4


@dataclass(frozen=True, slots=True)
class Entry:
    path: str  # without a leading slash
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o644


def file(path: str, data: bytes, permissions: int = 0o644) -> Entry:
    return Entry(path, data, stat.S_IFREG | permissions)


def folder(path: str) -> Entry:
    return Entry(path, b"", stat.S_IFDIR | 0o755)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, target.encode(), stat.S_IFLNK | 0o777)


def with_folders(entries: Iterable[Entry], present: Iterable[str] = ()) -> list[Entry]:
    """Entries with the folders that they need before them.

    Folders in `present` and those above them get no entry: in an image that is there already they may be
    symbolic links (lib -> usr/lib), which an entry of a folder would replace.
    """
    done = {above for path in present for above in _and_above(path)}
    result: list[Entry] = []
    for entry in entries:
        for above in _and_above(entry.path)[:-1]:
            if above not in done:
                done.add(above)
                result.append(folder(above))
        if entry.path not in done:
            done.add(entry.path)
            result.append(entry)
    return result


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive, its length a multiple of 4 so that another one can follow."""
    parts = [_member(number, entry) for number, entry in enumerate(entries, 1)]
    return b"".join(parts) + _member(0, Entry(_TRAILER, mode=0))


def padding(length: int) -> bytes:
    """What has to stand between an image of that length and an archive that is appended to it."""
    return bytes(-length % _ALIGNMENT)


def _member(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino, mode, uid, gid, nlink, mtime, size, dev major and minor, rdev major and minor, name size, check
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields) + name
    return header + padding(len(header)) + entry.data + padding(len(entry.data))


def _and_above(path: str) -> list[str]:
    """a/b/c -> a, a/b, a/b/c"""
    parts = path.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
