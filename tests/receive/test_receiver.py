"""The receiver as a process: transfers, its death and the agent's, every refusal as the sender hears it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rehost.block.layer import chain
from rehost.block.replica import open_replica
from rehost.block.room import room_at
from rehost.block.volume import VolumeShape
from rehost.core import digest
from rehost.core.errors import (
    ConnectionLostError,
    DigestMismatchError,
    FrameTooLongError,
    InvalidValueError,
    ReplicaIncompleteError,
    SourceReadError,
    TicketError,
    TicketExpiredError,
    TicketStaleError,
    VolumeFullError,
    WireError,
)
from rehost.wire import messages as m
from rehost.wire.codec import HEADER, encode
from rehost.wire.payload import Packer
from tests.loopdisks import LoopDisks
from tests.receive.site import CHUNK, Sender, Site, chunks_of, root_of

SHAPES = (VolumeShape(0, 40 * CHUNK, CHUNK), VolumeShape(1, 3 * CHUNK + 512, CHUNK))
SYSTEM, DATA = os.urandom(40 * CHUNK), os.urandom(3 * CHUNK + 512)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A receiver that listens, with a fresh replica of generation 1."""
    with serving(Site(tmp_path, SHAPES)) as made:
        yield made


@contextmanager
def serving(made: Site) -> Iterator[Site]:
    made.raise_generation(1)
    made.start()
    try:
        yield made
    finally:
        status = made.stop(signal.SIGTERM) if made.process is not None else 0
    assert status == 0


def send_all(sender: Sender, volume: int, content: bytes) -> int:
    seq = 0
    for number, chunk in enumerate(chunks_of(content)):
        seq = sender.send(volume, number, chunk)
    return seq


@pytest.mark.parametrize("level", [0, 1])
def test_a_transfer_arrives_whole(site: Site, level: int) -> None:
    half = SYSTEM[: 20 * CHUNK] + b"compressible" * (20 * CHUNK // 12) + bytes(20 * CHUNK % 12)
    with site.sender() as sender:
        sender._packer = Packer(level)
        assert [v.fresh for v in sender.welcome.volumes] == [True, True]
        send_all(sender, 0, half)
        sender.send(1, 3, DATA[-512:])
        sender.zero(1, 0, 3)
        assert sender.complete() == (root_of(half), root_of(bytes(3 * CHUNK) + DATA[-512:]))
        assert (sender.channel.bytes_sent < 22 * CHUNK) == (level == 1)
    assert site.content(0) == half
    assert site.content(1) == bytes(3 * CHUNK) + DATA[-512:]
    assert chain(site.folder)[0].data(1).stat().st_blocks * 512 < CHUNK


def test_several_streams_write_one_replica(site: Site) -> None:
    def send(stream: int) -> None:
        with site.sender(stream=stream) as sender:
            for number, chunk in list(enumerate(chunks_of(SYSTEM)))[stream::4]:
                sender.send(0, number, chunk)
            sender.wait_acked(10)

    threads = [threading.Thread(target=send, args=(stream,)) for stream in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with site.sender() as sender:
        send_all(sender, 1, DATA)
        assert sender.complete() == (root_of(SYSTEM), root_of(DATA))
    assert site.content(0) == SYSTEM


def missing(sender: Sender) -> list[int]:
    """The chunks of the system disk whose journal entry is not what the source has."""
    have = sender.digests(0, 0, 40)
    return [number for number, chunk in enumerate(chunks_of(SYSTEM)) if have[number] != digest.of(chunk)]


@pytest.mark.parametrize("after", [1, 13, 33])
def test_after_kill_9_of_the_receiver_nothing_that_was_acknowledged_is_sent_again(
    site: Site, after: int
) -> None:
    """Killed while bytes are under way; the second connection counts what it has to send."""
    with site.sender() as sender:
        for number, chunk in enumerate(chunks_of(SYSTEM)):
            sender.send(0, number, chunk)
            if number == after:
                sender.wait_acked(after)
        acknowledged = sender.acked
        site.stop(signal.SIGKILL)
    assert acknowledged >= after
    port = site.port
    site.start()
    assert site.port == port
    with site.sender() as sender:
        again = missing(sender)
        assert len(again) <= 40 - acknowledged
        for number in again:
            sender.send(0, number, chunks_of(SYSTEM)[number])
        send_all(sender, 1, DATA)
        assert sender.complete() == (root_of(SYSTEM), root_of(DATA))
        assert sender.channel.bytes_sent < (len(again) + 5) * CHUNK
    assert site.content(0) == SYSTEM


def test_receivers_killed_again_and_again_finish_without_resending(site: Site) -> None:
    """Each life gets a few more chunks; what all of them sent together is little more than the disk."""
    sent, lives, todo = 0, 0, list(range(40))
    while todo:
        lives += 1
        with site.sender() as sender:
            todo = missing(sender)
            for number in todo[:8]:
                last = sender.send(0, number, chunks_of(SYSTEM)[number])
            if todo:
                sender.wait_acked(last)
                for number in todo[8:9]:
                    sender.send(0, number, chunks_of(SYSTEM)[number])
            sent += sender.channel.bytes_sent
        site.stop(signal.SIGKILL)
        site.start()
    assert lives <= 6
    assert sent < (40 + lives) * CHUNK
    assert site.content(0) == SYSTEM


def test_a_cut_connection_keeps_what_came_whole(site: Site) -> None:
    with site.sender() as sender:
        sender.send(0, 0, SYSTEM[:CHUNK])
        second = SYSTEM[CHUNK : 2 * CHUNK]
        frame = encode(m.Data(2, 0, 1, digest.of(second), CHUNK, m.Encoding.RAW, second))
        sender.channel._sock.setblocking(True)
        sender.channel._sock.sendall(frame[: CHUNK // 2])
    with site.sender() as sender:
        assert missing(sender) == list(range(1, 40))


def test_a_newer_connection_of_a_stream_ends_the_older_one(site: Site) -> None:
    with site.sender(stream=1) as old, site.sender(stream=0) as other, site.sender(stream=1) as new:
        with pytest.raises(ConnectionLostError, match="a newer connection of this stream"):
            old.hear_failure()
        new.wait_acked(new.zero(0, 0, 1))
        other.wait_acked(other.zero(0, 1, 1))


def test_sigterm_ends_connections_with_a_reason_and_keeps_what_came(site: Site) -> None:
    with site.sender() as sender:
        sender.send(0, 0, SYSTEM[:CHUNK])
        sender.send(0, 1, SYSTEM[CHUNK : 2 * CHUNK])
        sender.wait_acked(1)
        assert site.process is not None
        site.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionLostError, match="the receiver is being stopped"):
            sender.hear_failure()
    assert site.stop(0) == 0
    with open_replica(site.folder) as replica:
        assert replica.digests(0, 0, 2) == digest.of(SYSTEM[:CHUNK]) + digest.of(SYSTEM[CHUNK : 2 * CHUNK])


def test_bad_tickets_are_refused_each_with_its_reason(site: Site) -> None:
    for ticket, error, reason in [
        ("", TicketError, "is no ticket"),
        ("forged", TicketError, "is no ticket"),
        (site.ticket(key=b"another key" * 3), TicketError, "signature is wrong"),
        (site.ticket(expires=time.time() - 5), TicketExpiredError, r"expired \d s ago"),
        (site.ticket(generation=0), TicketStaleError, "generation 0 may not write"),
        (site.ticket(generation=2), TicketStaleError, "generation 2 may not write"),
    ]:
        with pytest.raises(error, match=reason) as caught, site.sender(ticket):
            pass
        assert caught.value.advice
    assert site.content(0) == bytes(40 * CHUNK)


def test_no_secret_is_in_the_log(site: Site) -> None:
    forged, good = site.ticket(key=b"another key" * 3), site.ticket()
    with pytest.raises(TicketError), site.sender(forged):
        pass
    with site.sender(good) as sender:
        sender.wait_acked(sender.zero(0, 0, 1))
    site.stop(signal.SIGTERM)
    text = (site.data / "logs" / "receiver.log").read_text()
    assert good.split(".")[1] not in text
    assert forged.split(".")[1] not in text
    lines = site.log()
    assert {line["event"] for line in lines} >= {"connection opened", "connection failed"}
    assert {"Ticket.Invalid", "DataPlane.ConnectionLost"} <= {line.get("code") for line in lines}


def test_a_raised_generation_stops_a_sender_in_the_middle(site: Site) -> None:
    with site.sender() as sender:
        sender.wait_acked(sender.send(0, 0, SYSTEM[:CHUNK]))
        site.raise_generation(2)
        with pytest.raises(TicketStaleError, match="generation 1 may not write, it is 2's turn"):
            sender.wait_acked(sender.send(0, 0, DATA[:CHUNK]))
    with site.sender(site.ticket(generation=2)) as sender:
        assert missing(sender) == list(range(1, 40))


def test_a_frame_too_long_is_refused(site: Site) -> None:
    with site.sender() as sender:
        sender.channel._sock.send(HEADER.pack(m.MAX_FRAME + 1, 3))
        with pytest.raises(FrameTooLongError, match=f"{m.MAX_FRAME + 1} bytes, the most is {m.MAX_FRAME}"):
            sender.hear_failure()


def test_noise_is_refused(site: Site) -> None:
    with site.sender() as sender:
        sender.channel._sock.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(WireError, match="a frame of"):
            sender.hear_failure()
    channel = site.channel()
    channel._sock.send(HEADER.pack(1, 8))
    with pytest.raises(WireError, match="a Complete of the agent in state OPENING"):
        channel.receive(10)
    channel.close()


def test_a_peer_without_tls_or_with_an_old_one_is_refused(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as plain:
        plain.sendall(b"hello, is anybody there?\n")
        plain.settimeout(10)
        with suppress(ConnectionResetError):
            while plain.recv(100):
                pass
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", site.port)) as sock,
        pytest.raises(ssl.SSLError, match=r"(?i)version"),
    ):
        old.wrap_socket(sock)
    with site.sender() as sender:
        sender.wait_acked(sender.zero(0, 0, 1))


def test_a_damaged_chunk_is_refused_and_not_written(site: Site) -> None:
    with site.sender() as sender:
        data = m.Data(1, 0, 4, digest.of(b"another"), CHUNK, m.Encoding.RAW, SYSTEM[:CHUNK])
        sender.channel.send(data)
        with pytest.raises(DigestMismatchError, match="chunk 4 of volume 0"):
            sender.hear_failure()
    assert site.content(0) == bytes(40 * CHUNK)


def test_a_chunk_outside_the_volume_is_refused(site: Site) -> None:
    with site.sender() as sender:
        sender.send(0, 40, SYSTEM[:CHUNK])
        with pytest.raises(InvalidValueError, match="volume 0 has 40 chunks"):
            sender.hear_failure()


def test_complete_too_early_is_refused(site: Site) -> None:
    with site.sender() as sender:
        sender.zero(0, 0, 39)
        with pytest.raises(ReplicaIncompleteError, match="volume 0 lacks chunks"):
            sender.complete()


def test_the_agents_failure_ends_the_connection_and_keeps_what_came(site: Site) -> None:
    with site.sender() as sender:
        sender.send(0, 0, SYSTEM[:CHUNK])
        sender.channel.fail(SourceReadError("cannot read /dev/sda", "check the disk"))
    with site.sender() as sender:
        assert missing(sender) == list(range(1, 40))
    assert "SourceDisk.ReadFailed" in {line.get("code") for line in site.log()}


def test_a_full_target_disk_is_a_clear_error_and_room_heals_it(disks: LoopDisks) -> None:
    """The replica lies on an ext4 of 16 MiB on which 6 MiB are taken: 10 MiB of chunks do not fit."""
    mount = disks.make(16 << 20, "ext4", ("-q", "-m", "0")).mount
    assert mount is not None
    ballast = mount / "ballast"
    ballast.write_bytes(os.urandom(6 << 20))
    with serving(Site(mount, SHAPES)) as site:
        with site.sender() as one, site.sender(stream=1) as other:
            with pytest.raises(VolumeFullError, match="kept for the control plane's own records: make room"):
                one.wait_acked(send_all(one, 0, SYSTEM))
            with pytest.raises(VolumeFullError):
                other.wait_acked(send_all(other, 0, SYSTEM))
        assert room_at(mount).free >= room_at(mount).kept
        ballast.unlink()
        with site.sender() as sender:
            todo = missing(sender)
            for number in todo:
                sender.send(0, number, chunks_of(SYSTEM)[number])
            send_all(sender, 1, DATA)
            assert sender.complete() == (root_of(SYSTEM), root_of(DATA))
        assert site.content(0) == SYSTEM


def test_a_replica_that_is_not_there_is_an_error(site: Site) -> None:
    (site.folder / "replica.json").unlink()
    with pytest.raises(Exception, match="is no replica") as caught, site.sender():
        pass
    assert getattr(caught.value, "code", "") == "TargetDisk.WriteFailed"


def test_signals_that_come_one_upon_the_other_end_the_receiver(tmp_path: Path) -> None:
    """As for the end of a parent with many threads."""
    for number in range(5):
        site = Site(tmp_path / str(number), SHAPES)
        site.raise_generation(1)
        site.start()
        assert site.process is not None
        with site.sender():  # it has its handler by now
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                os.kill(site.process.pid, signal.SIGTERM)
        assert site.stop(0) in (0, -signal.SIGTERM)  # the latter if one comes when Python has ended


def test_the_receiver_dies_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed with -9: nothing but the kernel can tell the child."""
    site = Site(tmp_path, SHAPES)
    body = (
        "import subprocess, sys, time\n"
        "code = 'import sys; from pathlib import Path; from rehost.receive.main import main; '"
        "'main(Path(sys.argv[1]), \"127.0.0.1:0\", int(sys.argv[2]))'\n"
        "import os\n"
        "child = subprocess.Popen([sys.executable, '-c', code, sys.argv[1], str(os.getpid())])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", body, str(site.data)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while not (site.data / "receiver.json").exists():
            time.sleep(0.05)
        parent.kill()
    deadline = time.monotonic() + 20
    while alive(child):
        assert time.monotonic() < deadline, "the receiver outlived its parent"
        time.sleep(0.05)


def test_a_parent_that_is_gone_before_the_start_is_noticed(tmp_path: Path) -> None:
    site = Site(tmp_path, SHAPES)
    code = "import sys; from pathlib import Path; from rehost.receive.main import main; "
    code += "main(Path(sys.argv[1]), '127.0.0.1:0', 2**22 + 1)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(site.data)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "the parent process ended" in done.stderr


def alive(pid: int) -> bool:
    """A zombie that nobody reaps is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
