"""A mounted file system that loses what was not synced, when a test says that the power is gone (FUSE).

    python -m tests.crash.powerloss MOUNTPOINT

Says "ready" whenever it is mounted. When it was unmounted it reads a line: a number, with which it chooses
what of the unsynced survives, or "none"; then it is mounted again.
"""

import ctypes
import errno
import os
import random
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crash.forgetful import Node, Tree
from tests.loopdisks import wait_until_unmounted

_HEADER = struct.Struct("<IIQQIIII")  # length, opcode, unique, node, uid, gid, pid, padding
_MOST = 128 << 10  # bytes of one read or write
_LONG = 3600  # seconds that the kernel may remember: nobody else changes anything
_KEEP_CACHE = 2  # an answer to OPEN
_BIG_WRITES = 1 << 5
_SET_MODE, _SET_SIZE = 1, 8
_PUNCH, _ZERO, _KEEP_SIZE = 2, 16, 1


class PowerSupply:
    """The mount, and its switch."""

    def __init__(self, point: Path) -> None:
        self.point = point
        command = [sys.executable, "-m", "tests.crash.powerloss", str(point)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        self._wait_ready()

    def lose(self, seed: int | None = None) -> None:
        """Nobody may have anything open; all that was not synced is lost, or a part that the seed chooses."""
        assert self._process.stdin is not None
        wait_until_unmounted(self.point)
        self._process.stdin.write(f"{'none' if seed is None else seed}\n")
        self._process.stdin.flush()
        self._wait_ready()

    def _wait_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self.point], check=True)
        self._process.kill()
        self._process.communicate()


@contextmanager
def power_supply(point: Path) -> Iterator[PowerSupply]:
    point.mkdir()
    supply = PowerSupply(point)
    try:
        yield supply
    finally:
        supply.close()


def main(point: str) -> None:
    tree = Tree()
    while True:
        connection = _mount(point)
        print("ready", flush=True)
        _Session(tree, connection).serve()
        os.close(connection)
        line = sys.stdin.readline().strip()
        if not line:
            return
        tree.lose_power(None if line == "none" else random.Random(int(line)))


def _mount(point: str) -> int:
    connection = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={connection},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"powerloss", point.encode(), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    return connection


class _Session:
    """From one mount to its end."""

    def __init__(self, tree: Tree, connection: int) -> None:
        self._tree = tree
        self._connection = connection

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self._connection, _MOST + (64 << 10))
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in (errno.EINTR, errno.ENOENT):  # interrupted before it was read
                    continue
                raise
            _, opcode, unique, number, *_ = _HEADER.unpack_from(request)
            if opcode in _SILENT:
                continue
            status, answer = self._answer(opcode, number, request[_HEADER.size :])
            os.write(self._connection, struct.pack("<IiQ", 16 + len(answer), -status, unique) + answer)

    def _answer(self, opcode: int, number: int, body: bytes) -> tuple[int, bytes]:
        act = _ACTS.get(opcode)
        if act is None:
            return errno.ENOSYS, b""
        try:
            return 0, act(self._tree, self._tree.nodes.get(number, self._tree.root), body)
        except OSError as error:
            return error.errno or errno.EIO, b""


def _init(tree: Tree, node: Node, body: bytes) -> bytes:
    return struct.pack("<IIIIHHIIHHI28x", 7, 31, _MOST, _BIG_WRITES, 16, 12, _MOST, 1, _MOST >> 12, 0, 0)


def _lookup(tree: Tree, node: Node, body: bytes) -> bytes:
    return _entry(tree.find(node, _name(body)))


def _getattr(tree: Tree, node: Node, body: bytes) -> bytes:
    return struct.pack("<QII", _LONG, 0, 0) + _attributes(node)


def _setattr(tree: Tree, node: Node, body: bytes) -> bytes:
    valid, _, _, size = struct.unpack_from("<IIQQ", body)
    (mode,) = struct.unpack_from("<I", body, 68)
    if valid & _SET_SIZE:
        node.resize(size)
    if valid & _SET_MODE:
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
    return _getattr(tree, node, body)


def _mkdir(tree: Tree, node: Node, body: bytes) -> bytes:
    mode, _ = struct.unpack_from("<II", body)
    return _entry(tree.make(node, _name(body[8:]), stat.S_IFDIR | stat.S_IMODE(mode)))


def _mknod(tree: Tree, node: Node, body: bytes) -> bytes:
    mode, *_ = struct.unpack_from("<IIII", body)
    return _entry(tree.make(node, _name(body[16:]), mode))


def _create(tree: Tree, node: Node, body: bytes) -> bytes:
    _, mode, _, _ = struct.unpack_from("<IIII", body)
    made = tree.make(node, _name(body[16:]), stat.S_IFREG | stat.S_IMODE(mode))
    return _entry(made) + _OPENED


def _remove(tree: Tree, node: Node, body: bytes) -> bytes:
    tree.remove(node, _name(body))
    return b""


def _rename(tree: Tree, node: Node, body: bytes) -> bytes:
    (target,) = struct.unpack_from("<Q", body)
    old, new, _ = body[8:].split(b"\0")
    tree.rename(node, old.decode(), tree.nodes[target], new.decode())
    return b""


def _rename2(tree: Tree, node: Node, body: bytes) -> bytes:
    target, flags, _ = struct.unpack_from("<QII", body)
    if flags:
        raise OSError(errno.EINVAL, "only plain moves")
    return _rename(tree, node, struct.pack("<Q", target) + body[16:])


def _open(tree: Tree, node: Node, body: bytes) -> bytes:
    return _OPENED


def _read(tree: Tree, node: Node, body: bytes) -> bytes:
    _, offset, size = struct.unpack_from("<QQI", body)
    return bytes(node.content[offset : offset + size])


def _write(tree: Tree, node: Node, body: bytes) -> bytes:
    _, offset, size = struct.unpack_from("<QQI", body)
    node.write(offset, body[40 : 40 + size])
    return struct.pack("<II", size, 0)


def _fallocate(tree: Tree, node: Node, body: bytes) -> bytes:
    _, offset, length, mode, _ = struct.unpack_from("<QQQII", body)
    end = min(offset + length, len(node.content)) if mode & _KEEP_SIZE else offset + length
    if mode & (_PUNCH | _ZERO):
        node.write(offset, bytes(max(end - offset, 0)))
    elif end > len(node.content):
        node.resize(end)
    return b""


def _sync(tree: Tree, node: Node, body: bytes) -> bytes:
    if node.is_folder:
        tree.sync_folder(node)
    else:
        node.sync()
    return b""


def _readdir(tree: Tree, node: Node, body: bytes) -> bytes:
    _, offset, size = struct.unpack_from("<QQI", body)
    found = b""
    for place, (name, below) in enumerate(list(node.entries.items())[offset:], offset + 1):
        raw = name.encode()
        line = struct.pack("<QQII", below.number, place, len(raw), stat.S_IFMT(below.mode) >> 12) + raw
        line += bytes(-len(line) % 8)
        if len(found) + len(line) > size:
            break
        found += line
    return found


def _statfs(tree: Tree, node: Node, body: bytes) -> bytes:
    return struct.pack("<QQQQQIII28x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 20, 4096, 255, 4096)


def _nothing(tree: Tree, node: Node, body: bytes) -> bytes:
    return b""


def _name(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode()


def _entry(node: Node) -> bytes:
    return struct.pack("<QQQQII", node.number, 0, _LONG, _LONG, 0, 0) + _attributes(node)


def _attributes(node: Node) -> bytes:
    size, seconds = len(node.content), int(node.modified)
    times = (seconds, seconds, seconds)
    return struct.pack(
        "<QQQQQQIIIIIIIIII",
        node.number,
        size,
        -(-size // 512),
        *times,
        0,
        0,
        0,
        node.mode,
        1,
        0,
        0,
        0,
        4096,
        0,
    )


_OPENED = struct.pack("<QII", 0, _KEEP_CACHE, 0)
_SILENT = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET
_ACTS: dict[int, Callable[[Tree, Node, bytes], bytes]] = {
    1: _lookup, 3: _getattr, 4: _setattr, 8: _mknod, 9: _mkdir, 10: _remove, 11: _remove, 12: _rename,
    14: _open, 15: _read, 16: _write, 17: _statfs, 18: _nothing, 20: _sync, 25: _nothing, 26: _init,
    27: _open, 28: _readdir, 29: _nothing, 30: _sync, 35: _create, 38: _nothing, 43: _fallocate,
    45: _rename2,
}  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
