"""Puts the tracker's programs on the kernel's events: typed ones where the kernel describes its types, else
classic ones."""

import errno
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rehost.track.bpf import system
from rehost.track.bpf.btf import Btf
from rehost.track.bpf.formats import Format, parse
from rehost.track.bpf.programs import Target, Typed, classic_program, typed, typed_program
from rehost.track.libc import mount, unmount

# A completion may interrupt another one on its CPU, and the kernel leaves out a program that runs there
# already. At most two can be interrupted at once (one in a task or thread, one in a soft interrupt), so of
# three copies one always runs; each of them marks.
COPIES = 3
_NAMES = ("rehost_issue", "rehost_complete")
_EVENTS = ("block_rq_issue", "block_rq_complete")
_BTF = Path("/sys/kernel/btf/vmlinux")
_TRACING = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))


@dataclass(frozen=True, slots=True)
class Attached:
    """Descriptors of one program on one event."""

    program: int
    link: int
    pinnable: bool

    def close(self) -> None:
        os.close(self.link)
        os.close(self.program)


@dataclass(frozen=True, slots=True)
class Rung:
    """A way to attach."""

    name: str  # for people
    rows: int  # of the counts: one for issued requests, the others for completed ones
    finest: int  # bytes of a disk that a cell tells of at least, so that programs do not become too long
    load: Callable[[Target, int], int]  # a program that counts in this row; LookupError, OSError
    link: Callable[[int, int], tuple[int, bool]]  # attaches it for its row; whether that can be pinned

    def attach(self, target: Target, row: int) -> Attached:
        program = self.load(target, row)
        with _closed_on_error(program):
            return Attached(program, *self.link(program, row))


def _load_typed(target: Target, row: int) -> int:
    where = types()
    return system.load_program(
        system.TRACING,
        typed_program(where, target, row),
        _NAMES[row > 0],
        where.complete if row else where.issue,
        system.RAW_TRACEPOINT_EVENT,
    )


def _link_typed(program: int, row: int) -> tuple[int, bool]:
    return system.open_raw_tracepoint(program), True


def _load_classic(target: Target, row: int) -> int:
    code = classic_program(tracepoint(_EVENTS[row > 0]), target, row)
    return system.load_program(system.TRACEPOINT, code, _NAMES[row > 0])


def _link_classic(program: int, row: int) -> tuple[int, bool]:
    event = system.open_tracepoint(tracepoint(_EVENTS[row > 0]).number)
    with _closed_on_error(event):
        try:
            link = system.link_perf_event(event, program)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            system.set_program(event, program)  # before Linux 5.15
            return event, False
    os.close(event)
    return link, True


# Finer cells need longer programs, as a request can touch more groups of them: 7,447 instructions for 16 KiB.
# Kernels before 5.2, which have no types, take 4,096.
TYPED = Rung("typed programs", 1 + COPIES, 16 << 10, _load_typed, _link_typed)
CLASSIC = Rung("classic tracepoints", 2, 256 << 10, _load_classic, _link_classic)


@functools.cache
def types() -> Typed:
    """Where this kernel keeps things; LookupError if it does not say."""
    try:
        return typed(Btf(_BTF.read_bytes()))
    except FileNotFoundError as error:
        raise LookupError("the kernel does not describe its types (no BTF)") from error


@functools.cache
def tracepoint(name: str) -> Format:
    """The format of an event of the block layer; LookupError if the kernel does not tell it."""
    with _tracefs() as folder:
        try:
            return parse((folder / "events/block" / name / "format").read_text())
        except FileNotFoundError as error:
            raise LookupError(f"the kernel has no tracepoint {name}") from error


@contextmanager
def _tracefs() -> Iterator[Path]:
    """Its folder; mounted for the moment where nobody has."""
    for folder in _TRACING:
        if (folder / "events").is_dir():
            yield folder
            return
    if not _TRACING[0].is_dir():
        raise LookupError("the kernel has no tracefs")
    mount("tracefs", _TRACING[0])
    try:
        yield _TRACING[0]
    finally:
        unmount(_TRACING[0])


@contextmanager
def _closed_on_error(fd: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.close(fd)
        raise
