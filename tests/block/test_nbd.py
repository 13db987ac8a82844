"""The NBD client against QEMU's server, and against what is none."""

import json
import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.block import nbdcodec
from rehost.block.nbd import connect
from rehost.block.nbdcodec import Command
from rehost.core.errors import MachineError, VolumeError, VolumeFullError
from rehost.machine.storage_daemon import DiskImage, StorageDaemon
from tests.block.kinds import SIZE, create_qcow2
from tests.loopdisks import LoopDisks


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[StorageDaemon]:
    create_qcow2(tmp_path / "volume.qcow2", SIZE)
    with StorageDaemon([DiskImage("disk-0", tmp_path / "volume.qcow2", "qcow2")]) as running:
        yield running


def test_an_export_that_is_not_there_is_said(daemon: StorageDaemon) -> None:
    with pytest.raises(VolumeError, match="refused the export"):
        connect(daemon.socket, "disk-1")


def test_a_server_that_dies_is_an_error_now_and_later(daemon: StorageDaemon) -> None:
    device = connect(daemon.socket, "disk-0")
    device.write(0, b"x" * 4096)
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGKILL)
    for attempt in (lambda: device.write(0, b"y" * 4096), device.flush):
        with pytest.raises(VolumeError, match="disk-0 is gone"):
            attempt()
    device.close()


def test_a_second_daemon_waits_for_the_first_and_says_what_is_locked(
    daemon: StorageDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = DiskImage("disk-0", tmp_path / "volume.qcow2", "qcow2")
    monkeypatch.setattr("rehost.machine.storage_daemon.LOCKED_DEADLINE", 0.3)
    with pytest.raises(MachineError, match="lock"):
        StorageDaemon([image])
    monkeypatch.setattr("rehost.machine.storage_daemon.LOCKED_DEADLINE", 30)
    later = threading.Timer(0.3, daemon.close)
    later.start()
    with StorageDaemon([image]) as second:
        connect(second.socket, "disk-0").close()
    later.join()


def test_a_full_disk_is_told_from_a_broken_one(disks: LoopDisks) -> None:
    mount = disks.make(8 << 20, "ext4", ("-q", "-m", "0")).mount
    assert mount is not None
    create_qcow2(mount / "volume.qcow2", 32 << 20)
    with StorageDaemon([DiskImage("disk-0", mount / "volume.qcow2", "qcow2")]) as running:
        device = connect(running.socket, "disk-0")
        with pytest.raises(VolumeFullError, match="No space left") as caught:
            for start in range(0, 32 << 20, 1 << 20):
                device.write(start, os.urandom(1 << 20))
            device.flush()
        assert "make room" in caught.value.advice
        device.close()


def test_writes_of_one_place_keep_their_order(daemon: StorageDaemon) -> None:
    device, found = connect(daemon.socket, "disk-0"), memoryview(bytearray(64 << 10))
    dice = random.Random(1)
    expected = bytearray(64 << 10)
    for number in range(400):
        place, length = 4096 * dice.randrange(15), 4096 * dice.randrange(1, 3)
        if number % 5:
            expected[place : place + length] = content = bytes([number % 250 + 1]) * length
            device.write(place, content)
        else:
            expected[place : place + length] = bytes(length)
            device.zero(place, length)
        if number % 50 == 0:
            device.read_into(0, found)
            assert found == expected
    device.flush()
    device.read_into(0, found)
    assert found == expected
    device.close()


@contextmanager
def blkdebug(folder: Path, operation: str) -> Iterator[Path]:
    """A server on an image whose sectors from 1 MiB on answer EIO to an operation."""
    image, path, pidfile = folder / "image.raw", folder / "nbd", folder / "pid"
    image.write_bytes(bytes(8 << 20))
    fault = {"event": "none", "iotype": operation, "errno": 5, "sector": 2048, "once": False}
    if operation == "flush":
        del fault["sector"]
    file = {"driver": "file", "filename": str(image)}
    node = {"driver": "blkdebug", "node-name": "n", "image": file, "inject-error": [fault]}
    export = "type=nbd,id=e,node-name=n,name=disk-0,writable=on"
    command = ["qemu-storage-daemon", "--nbd-server", f"addr.type=unix,addr.path={path}"]
    command += ["--blockdev", json.dumps(node), "--export", export, "--pidfile", str(pidfile)]
    with subprocess.Popen(command) as process:
        while not pidfile.exists():
            assert process.poll() is None
        try:
            yield path
        finally:
            process.terminate()


@pytest.mark.parametrize("operation", ["write", "read", "flush"])
def test_errors_have_their_place_and_do_not_end_the_connection(tmp_path: Path, operation: str) -> None:
    with blkdebug(tmp_path, operation) as path:
        device = connect(path, "disk-0")
        buffer = memoryview(bytearray(4096))
        device.write(0, buffer)  # what was not written to is not flushed
        if operation == "write":
            device.write(1 << 20, buffer)
            device.read_into(0, buffer)  # is not told of it
        with pytest.raises(VolumeError, match=f"cannot {operation} at .*Input/output error"):
            if operation == "read":
                device.read_into(1 << 20, buffer)
            device.flush()
        device.write(0, b"z" * 4096)
        device.read_into(0, buffer)
        assert bytes(buffer) == b"z" * 4096
        device.close()


@pytest.mark.parametrize(
    "greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n", b"NBDMAGIC" + b"IHAVEOPT" + b"\0\0"]
)
def test_what_is_no_server_of_this_protocol_is_refused(tmp_path: Path, greeting: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "nbd"))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(VolumeError, match="NBD server"):
            connect(tmp_path / "nbd", "disk-0")
        thread.join()


def test_no_server_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="no NBD server"):
        connect(tmp_path / "nbd", "disk-0")


@given(st.sampled_from(Command), st.integers(0, 2**64 - 1), st.integers(0, 2**63), st.integers(0, 2**32 - 1))
def test_a_request_is_28_bytes_as_the_protocol_has_them(
    command: Command, cookie: int, offset: int, length: int
) -> None:
    told = nbdcodec.request(command, cookie, offset, length)
    assert told[:4] == bytes.fromhex("25609513")
    fields = [int.from_bytes(told[start:end]) for start, end in ((4, 6), (6, 8), (8, 16), (16, 24), (24, 28))]
    assert (len(told), fields) == (28, [0, command, cookie, offset, length])


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_a_reply_to_another_request_is_refused(error: int, cookie: int) -> None:
    header = bytes.fromhex("67446698") + error.to_bytes(4) + cookie.to_bytes(8)
    assert nbdcodec.read_reply(header, {cookie, cookie ^ 1}) == (error, cookie)
    with pytest.raises(VolumeError, match="another request"):
        nbdcodec.read_reply(header, {cookie ^ 1})
