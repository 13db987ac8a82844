"""A file with the digests of a run: what a source needs to be compared without any server.

"rehost digests\n\0"  u16 version  u32 length  header (JSON)  BLAKE3 of all before
one zstd frame: the digests of all disks, in the header's order, joined
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from rehost.block.digests import ChunkDigests, blocks_of, root_of
from rehost.block.volume import VolumeShape
from rehost.core import digest
from rehost.core.errors import DigestFileError
from rehost.core.server import Disk

VERSION = 1
_MAGIC = b"rehost digests\n\0"
_SIZES = struct.Struct(">HI")
_LONGEST_HEADER = 16 << 20
_AGAIN = (
    "write it again on the control plane's host (rehost verify IMAGE --digests FILE) and copy it as binary"
)


@dataclass(frozen=True, slots=True)
class DigestedDisk:
    shape: VolumeShape
    root: str  # hex
    disk: Disk | None = None  # as the source had it in the run; None: not known any more


@dataclass(frozen=True, slots=True)
class Header:
    image: str
    job: str
    run: str
    copied: float | None  # the end of the copy, Unix seconds by the source's clock; None: not known any more
    disks: tuple[DigestedDisk, ...]


def write(path: Path, header: Header, digests: Sequence[ChunkDigests]) -> None:
    """Write a digest file; it is there whole or not at all. DigestFileError if it cannot be written."""
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            file.write(_encode(header))
            with zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as packed:
                for disk, source in zip(header.disks, digests, strict=True):
                    for block in blocks_of(source, disk.shape):
                        packed.write(block)
        partial.replace(path)
    except OSError as error:
        raise DigestFileError(f"{path} cannot be written: {error.strerror}", "name another file") from error
    finally:
        partial.unlink(missing_ok=True)


class DigestReader:
    """The digests of one disk out of a file, in ascending order only."""

    def __init__(self, path: Path, packed: zstandard.ZstdDecompressionReader, shape: VolumeShape) -> None:
        self._path, self._packed, self.shape = path, packed, shape
        self._next = 0

    def read(self, first: int, count: int) -> bytes:
        if first != self._next:
            raise ValueError(f"chunk {first} after chunk {self._next - 1}")
        self._next += count
        wanted, found = count * digest.SIZE, b""
        try:
            while len(found) < wanted and (part := self._packed.read(wanted - len(found))):
                found += part
        except zstandard.ZstdError as error:
            raise DigestFileError(f"{self._path} is damaged: {error}", _AGAIN) from error
        if len(found) < wanted:
            raise DigestFileError(f"{self._path} is cut off", _AGAIN)
        return found

    def skip(self) -> None:
        """Past the digests that nobody read."""
        while self._next < self.shape.chunks:
            self.read(self._next, min(4096, self.shape.chunks - self._next))


def read_header(path: Path) -> Header:
    """DigestFileError for what is no digest file, a damaged one, or one of a newer version."""
    with _opened(path) as file:
        return _decode(path, file)


def check(path: Path) -> None:
    """DigestFileError unless the digests have the roots that the header names."""
    for disk, digests in readers(path):
        if root_of(digests, disk.shape).hex() != disk.root:
            raise DigestFileError(
                f"{path} is damaged: its digests of disk {disk.shape.volume} are not right", _AGAIN
            )


def readers(path: Path) -> Iterator[tuple[DigestedDisk, DigestReader]]:
    """The disks of a digest file, one after the other, each with its digests."""
    with _opened(path) as file:
        header = _decode(path, file)
        with zstandard.ZstdDecompressor().stream_reader(file, closefd=False) as packed:
            for disk in header.disks:
                reader = DigestReader(path, packed, disk.shape)
                yield disk, reader
                reader.skip()


def _encode(header: Header) -> bytes:
    text = msgspec.json.encode(header)
    head = _MAGIC + _SIZES.pack(VERSION, len(text)) + text
    return head + digest.of(head)


def _decode(path: Path, file: BinaryIO) -> Header:
    head = file.read(len(_MAGIC) + _SIZES.size)
    if not head.startswith(_MAGIC) or len(head) < len(_MAGIC) + _SIZES.size:
        raise DigestFileError(f"{path} is no digest file of rehost", _AGAIN)
    version, length = _SIZES.unpack_from(head, len(_MAGIC))
    if version != VERSION:
        raise DigestFileError(
            f"{path} has version {version}, and this program knows {VERSION}",
            "take the program that wrote it",
        )
    text = file.read(min(length, _LONGEST_HEADER))
    if file.read(digest.SIZE) != digest.of(head + text):
        raise DigestFileError(f"{path} is damaged in its header", _AGAIN)
    try:
        return msgspec.json.decode(text, type=Header)
    except msgspec.DecodeError as error:
        raise DigestFileError(f"{path} has a header that is not right: {error}", _AGAIN) from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise DigestFileError(
            f"{path} cannot be read: {error.strerror}", "check its name and the disk"
        ) from error
