"""Running qemu-img: its progress as numbers, its complaints as errors of the tree."""

import json
import re
import struct
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from rehost.core.errors import (
    MissingProgramError,
    RehostError,
    VolumeError,
    VolumeFullError,
    VolumeInUseError,
)
from rehost.core.extent import Extent, Extents, merge

PROGRAM = "qemu-img"
# For what is written in blocks of 4 KiB: clusters of 128 KiB have 32 parts, which are stored one by one.
FINE = "cluster_size=128k,extended_l2=on"

_HEADER = struct.Struct(">4s4xQI")  # magic, version, place and length of the backing file's name
_MOVE_AWAY = "move its folder away if the image is not needed"
_MAGIC = b"QFI\xfb"
_CORRUPT, _LEAKS = 2, 3  # exit codes of check; clusters that nobody uses only cost space
_PERCENT = re.compile(rb"\(\s*([0-9.]+)/100%\)")


def create_overlay(
    folder: Path, name: str, backing: str, backing_format: str, size: int, *, options: str = ""
) -> Path:
    """A new qcow2 file in `folder` over `backing`, a path relative to the folder; `size` in bytes, `options`
    as of qemu-img create -o."""
    path, more = folder / name, ("-o", options) if options else ()
    _run("create", "-q", "-f", "qcow2", *more, "-F", backing_format, "-b", backing, str(path), str(size))
    return path


def backing_of(path: Path) -> Path | None:
    """The file below a qcow2 file, resolved, as its header says; None if there is none."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size or not header.startswith(_MAGIC):
                raise VolumeError(f"{path} is not qcow2", _MOVE_AWAY)
            _, offset, length = _HEADER.unpack(header)
            file.seek(offset)
            name = file.read(length).decode()
    except OSError as error:
        raise VolumeError(f"{path} cannot be read: {error}", _MOVE_AWAY) from error
    return (path.parent / name).resolve() if offset else None


def rebase(path: Path, backing: str, backing_format: str) -> None:
    """Put a qcow2 file on another one of the same content; VolumeInUseError while somebody has it open."""
    _run("rebase", "-q", "-u", "-f", "qcow2", "-F", backing_format, "-b", backing, str(path))


def commit(path: Path) -> None:
    """Write what a qcow2 file has into the file below it, and leave it as it is; repeatable.

    VolumeInUseError while anything has one of the two open.
    """
    _run("commit", "-q", "-d", "-f", "qcow2", str(path))


def is_sound(path: Path) -> bool:
    """Nothing in a qcow2 file is corrupt; VolumeInUseError while somebody writes it."""
    command = [PROGRAM, "check", "-q", "-f", "qcow2", str(path)]
    with _start(command) as process:
        _, complaint = process.communicate()
    if process.returncode not in (0, _CORRUPT, _LEAKS):
        raise _error(command, complaint)
    return process.returncode != _CORRUPT


def needed(path: Path, form: str) -> int:
    """Bytes that a flattened copy of an image takes on disk."""
    return int(json.loads(_run("measure", "--output=json", "-f", form, "-O", "qcow2", str(path)))["required"])


@dataclass(frozen=True, slots=True)
class _Mapped:
    """A line of qemu-img map."""

    start: int
    length: int
    depth: int  # files below the one that is asked; 0 is itself
    zero: bool  # reads as zeroes
    present: bool = True  # in any of the files


def content_extents(path: Path, form: str) -> Extents:
    """Where a disk may hold other bytes than zeroes, files below included; merged."""
    return _merged(each for each in _map(path, form) if not each.zero)


def own_extents(path: Path) -> Extents:
    """Where a qcow2 file hides what is below it; merged."""
    return _merged(each for each in _map(path, "qcow2") if each.present and each.depth == 0)


def _merged(mapped: Iterable[_Mapped]) -> Extents:
    """An empty file is mapped in one piece of no length."""
    return merge(Extent(each.start, each.start + each.length) for each in mapped if each.length)


def _map(path: Path, form: str) -> list[_Mapped]:
    """Of a disk that others may have open, too."""
    output = _run("map", "--force-share", "--output=json", "-f", form, str(path))
    return msgspec.json.decode(output, type=list[_Mapped])


def convert(
    source: Path,
    source_format: str,
    target: Path,
    arguments: Sequence[str],
    progress: Callable[[float], None],
) -> None:
    """A flattened copy; `arguments` are -O and -o, `progress` is told percent."""
    command = [PROGRAM, "convert", "-p", "-f", source_format, *arguments, str(source), str(target)]
    with _start(command) as process:
        assert process.stdout is not None
        _follow(process.stdout, progress)
        complaint = process.stderr.read() if process.stderr else b""
    if process.returncode:
        raise _error(command, complaint)


def _run(*arguments: str) -> bytes:
    command = [PROGRAM, *arguments]
    with _start(command) as process:
        output, complaint = process.communicate()
    if process.returncode:
        raise _error(command, complaint)
    return output


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise MissingProgramError(
            f"{PROGRAM} is not installed on this host", "install it (Debian: apt-get install qemu-utils)"
        ) from error


def _follow(output: IO[bytes], progress: Callable[[float], None]) -> None:
    pending = b""
    while block := output.read1(4096):  # type: ignore[attr-defined]
        *lines, pending = (pending + block).split(b"\r")
        for match in map(_PERCENT.search, lines):
            if match:
                progress(float(match[1]))


def _error(command: Sequence[str], complaint: bytes) -> RehostError:
    text = complaint.decode(errors="replace").strip()
    what = f"{' '.join(command[:2])} failed for {command[-1]}: {text}"
    if "No space left on device" in text:
        return VolumeFullError(what, "make room on that file system, then repeat")
    if re.search(r"Failed to get .* lock", text):
        return VolumeInUseError(what, "end the machine, export or boot check that uses it, then repeat")
    return VolumeError(what, "see the message of qemu-img")
