"""A device behind an NBD server on a Unix socket."""

import contextlib
import errno
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

from rehost.block import nbdcodec
from rehost.block.device import check_range
from rehost.block.nbdcodec import Command
from rehost.core.errors import VolumeError, VolumeFullError

PATIENCE = 120.0  # seconds for one answer: a flush of a busy disk takes long
_LONGEST = 32 << 20  # bytes that servers take in one request
_LONGEST_ZERO = 1 << 30
_UNDER_WAY = 16  # writes at once, as many as QEMU takes

_START_AGAIN = "check the disk that holds the data folder (dmesg), then start the job again"
_MAKE_ROOM = "make room on the file system that holds the data folder, then start the job again"


@dataclass(frozen=True, slots=True)
class _Request:
    command: Command
    offset: int
    length: int

    def overlaps(self, offset: int, length: int) -> bool:
        return self.offset < offset + length and offset < self.offset + self.length


class NbdDevice:
    """One connection; any broken request ends it for good.

    Writes are sent on without waiting for the ones before, as their order says nothing before a flush: that
    waits for all of them, and raises the error of the first that failed.
    """

    def __init__(self, sock: socket.socket, name: str) -> None:
        """Takes the socket over; `name` is the export's."""
        self._socket = sock
        self._name = name
        self._lock = threading.Lock()
        self._cookie = 0
        self._under_way: dict[int, _Request] = {}  # by cookie
        self._failed: VolumeError | VolumeFullError | None = None
        try:
            self.size = self._greet()
        except BaseException:
            sock.close()
            raise

    def read_into(self, offset: int, buffer: memoryview) -> None:
        check_range(self, offset, len(buffer))
        for start in range(0, len(buffer), _LONGEST):
            part = buffer[start : start + _LONGEST]
            with self._lock:
                self._settle(0)
                self._begin(_Request(Command.READ, offset + start, len(part)))
                if error := self._hear():
                    raise error
                self._receive_into(part)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        check_range(self, offset, len(data))
        view = memoryview(data)
        for start in range(0, len(view), _LONGEST):
            part = view[start : start + _LONGEST]
            self._send_on(_Request(Command.WRITE, offset + start, len(part)), part)

    def zero(self, offset: int, length: int) -> None:
        check_range(self, offset, length)
        for start in range(offset, offset + length, _LONGEST_ZERO):
            self._send_on(_Request(Command.WRITE_ZEROES, start, min(_LONGEST_ZERO, offset + length - start)))

    def flush(self) -> None:
        with self._lock:
            self._settle(0)
            failed, self._failed = self._failed, None
            if failed is None:
                self._begin(_Request(Command.FLUSH, 0, 0))
                failed = self._hear()
            if failed is not None:
                raise failed

    def close(self) -> None:
        """The server is told, so that it need not guess; what it makes of it is not waited for."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.sendall(nbdcodec.request(Command.DISCONNECT, 0, 0, 0))
        self._socket.close()

    def _greet(self) -> int:
        greeting = self._receive(nbdcodec.GREETING.size)
        self._send(nbdcodec.answer_greeting(greeting, self._name))
        export = None
        while True:
            kind, length = nbdcodec.read_option_reply(self._receive(nbdcodec.OPTION_REPLY.size))
            export = nbdcodec.read_export(kind, self._receive(length)) or export
            if nbdcodec.is_end(kind):
                break
        if export is None or not export.suitable:
            raise VolumeError(f"the NBD server cannot flush or zero {self._name}")
        return export.size

    def _send_on(self, request: _Request, data: memoryview | None = None) -> None:
        """Its reply is heard later; but two writes of the same place keep their order."""
        with self._lock:
            again = any(other.overlaps(request.offset, request.length) for other in self._under_way.values())
            self._settle(0 if again else _UNDER_WAY - 1)
            self._begin(request)
            if data is not None:
                self._send(data)

    def _settle(self, most: int) -> None:
        """Wait until no more than `most` writes are under way. Of what failed only a flush tells, as that is
        what whoever wrote it waits for."""
        while len(self._under_way) > most:
            failed = self._hear()
            self._failed = self._failed or failed

    def _begin(self, request: _Request) -> None:
        self._cookie += 1
        self._under_way[self._cookie] = request
        self._send(nbdcodec.request(request.command, self._cookie, request.offset, request.length))

    def _hear(self) -> VolumeError | VolumeFullError | None:
        """One reply: why that request failed. What was read follows it, if it did not."""
        error, cookie = nbdcodec.read_reply(self._receive(nbdcodec.REPLY.size), self._under_way)
        request = self._under_way.pop(cookie)
        return self._refused(request.command, request.offset, error) if error else None

    def _send(self, data: bytes | memoryview) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._lost(str(error)) from error

    def _receive(self, length: int) -> bytes:
        buffer = bytearray(length)
        self._receive_into(memoryview(buffer))
        return bytes(buffer)

    def _receive_into(self, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            try:
                count = self._socket.recv_into(buffer[done:])
            except OSError as error:
                raise self._lost(str(error)) from error
            if count == 0:
                raise self._lost("it ended the connection")
            done += count

    def _lost(self, why: str) -> VolumeError:
        """The stream is of no use from here on: an answer that comes late would be taken for the next one."""
        self._socket.close()
        return VolumeError(f"the NBD server of {self._name} is gone: {why}", _START_AGAIN)

    def _refused(self, command: Command, offset: int, error: int) -> VolumeError | VolumeFullError:
        what = f"cannot {command.name.lower()} at {offset} of {self._name}: {os.strerror(error)}"
        if error in (errno.ENOSPC, errno.EDQUOT):
            return VolumeFullError(what, _MAKE_ROOM)
        return VolumeError(what, _START_AGAIN)


def connect(path: Path, name: str) -> NbdDevice:
    """A device of the server that listens at a Unix socket; VolumeError if there is none."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(str(path))
    except OSError as error:
        sock.close()
        raise VolumeError(f"no NBD server at {path}: {error.strerror}", _START_AGAIN) from error
    return NbdDevice(sock, name)
