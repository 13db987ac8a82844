"""bpf(2), perf_event_open(2) and membarrier(2): the calls as the kernel has them, errors as OSError."""

import ctypes
import mmap
import os
import platform
import resource
import struct
from contextlib import suppress
from typing import NoReturn

# bpf, perf_event_open, membarrier
_NUMBERS = {
    "x86_64": (321, 298, 324),
    "aarch64": (280, 241, 283),
    "riscv64": (280, 241, 283),
    "ppc64le": (361, 319, 365),
}
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD, _PIN, _GET, _INFO = 0, 1, 2, 5, 6, 7, 15
_RAW_TRACEPOINT_OPEN, _LINK_CREATE = 17, 28
_ATTRIBUTES = 152  # bytes of the largest union bpf_attr in use; the kernel wants zeroes behind what it knows
_LOG = 1 << 20
_LICENSE = ctypes.create_string_buffer(b"Dual MIT/GPL")
_GLOBAL = 1  # membarrier: all threads of the system
_ENABLE, _SET_BPF = 0x2400, 0x40042408
_EVENT_SIZE = 112
_MISSES_AT = 208  # in bpf_prog_info, since Linux 5.12

ARRAY, PER_CPU_ARRAY = 2, 6
MAPPABLE = 1 << 10
TRACEPOINT, TRACING = 5, 26
RAW_TRACEPOINT_EVENT, PERF_EVENT = 23, 41

_LIBC = ctypes.CDLL(None, use_errno=True)


def supported() -> bool:
    """Whether this machine's numbers of system calls are known (and its bytes are little endian)."""
    return platform.machine() in _NUMBERS


def create_map(kind: int, value: int, entries: int, flags: int, name: str) -> int:
    return _bpf(_MAP_CREATE, struct.pack("<IIIIIII15sx", kind, 4, value, entries, flags, 0, 0, name.encode()))


def lookup(fd: int, key: int, value: "ctypes.Array[ctypes.c_char]") -> None:
    """Read an element; of a per-CPU map all CPUs' values, each in multiples of 8 bytes."""
    number = ctypes.c_uint32(key)
    attributes = struct.pack("<IxxxxQQQ", fd, ctypes.addressof(number), ctypes.addressof(value), 0)
    _bpf(_MAP_LOOKUP, attributes)


def update(fd: int, key: int, value: bytes) -> None:
    number, content = ctypes.c_uint32(key), ctypes.create_string_buffer(value, len(value))
    attributes = struct.pack("<IxxxxQQQ", fd, ctypes.addressof(number), ctypes.addressof(content), 0)
    _bpf(_MAP_UPDATE, attributes)


def load_program(kind: int, code: bytes, name: str, attach: int = 0, attach_type: int = 0) -> int:
    """OSError, with the end of the verifier's log if it is what refuses."""
    instructions = ctypes.create_string_buffer(code, len(code))

    def attempt(level: int, log: int) -> int:
        attributes = bytearray(_ATTRIBUTES)
        struct.pack_into(
            "<IIQQIIQII15s",
            attributes,
            0,
            kind,
            len(code) // 8,
            ctypes.addressof(instructions),
            ctypes.addressof(_LICENSE),
            level,
            _LOG if level else 0,
            log,
            0,
            0,
            name.encode(),
        )
        struct.pack_into("<I", attributes, 68, attach_type)
        struct.pack_into("<I", attributes, 108, attach)
        return _bpf(_PROG_LOAD, bytes(attributes))

    try:
        return attempt(0, 0)
    except OSError as error:
        log = ctypes.create_string_buffer(_LOG)
        with suppress(OSError):
            return attempt(1, ctypes.addressof(log))
        lines = log.value.decode("utf-8", "replace").strip().splitlines()
        raise OSError(error.errno, "; ".join([error.strerror or "", *lines[-3:]])) from error


def open_raw_tracepoint(program: int) -> int:
    """Attach a typed program to the event that it was loaded for; a descriptor of the link."""
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("<QIxxxx", 0, program))


def open_tracepoint(number: int) -> int:
    """A perf event on a classic tracepoint, for programs to be attached to; they then run on every CPU."""
    event = bytearray(_EVENT_SIZE)
    struct.pack_into("<IIQQ", event, 0, 2, _EVENT_SIZE, number, 1)  # type tracepoint; never sampled
    content = (ctypes.c_char * _EVENT_SIZE).from_buffer(event)
    fd = _syscall(1, ctypes.addressof(content), -1, 0, -1, 8)
    try:
        _ioctl(fd, _ENABLE, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def link_perf_event(event: int, program: int) -> int:
    """Since Linux 5.15: an attachment that can be pinned."""
    return _bpf(_LINK_CREATE, struct.pack("<IIII", program, event, PERF_EVENT, 0))


def set_program(event: int, program: int) -> None:
    """An attachment that lasts as long as the event's descriptor."""
    _ioctl(event, _SET_BPF, program)


def pin(fd: int, path: str) -> None:
    text = ctypes.create_string_buffer(path.encode())
    _bpf(_PIN, struct.pack("<QII", ctypes.addressof(text), fd, 0))


def pinned(path: str) -> int:
    text = ctypes.create_string_buffer(path.encode())
    return _bpf(_GET, struct.pack("<QII", ctypes.addressof(text), 0, 0))


def id_of(fd: int) -> int:
    """The number that the kernel gave this map, program or link; never given twice while it runs."""
    return int(struct.unpack_from("<II", _info(fd, 64)[0])[1])


def misses(program: int) -> int | None:
    """How often the program was left out because it ran on that CPU already; None before Linux 5.12."""
    content, length = _info(program, 256)
    return int(struct.unpack_from("<Q", content, _MISSES_AT)[0]) if length >= _MISSES_AT + 8 else None


def wait_for_programs() -> None:
    """Returns when every program that ran at the call has ended: they run where an RCU grace period waits."""
    _syscall(2, _GLOBAL, 0, 0)


def map_memory(fd: int, length: int, *, writable: bool = False) -> mmap.mmap:
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    return mmap.mmap(fd, -(-length // mmap.PAGESIZE) * mmap.PAGESIZE, mmap.MAP_SHARED, access)


def lift_memory_limit() -> None:
    """Before Linux 5.11 maps count against the limit on locked memory."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _info(fd: int, size: int) -> tuple[bytes, int]:
    content = ctypes.create_string_buffer(size)
    attributes = bytearray(struct.pack("<IIQ", fd, size, ctypes.addressof(content)))
    _bpf_in_place(_INFO, attributes)
    return content.raw, int(struct.unpack_from("<I", attributes, 4)[0])


def _bpf(command: int, attributes: bytes) -> int:
    return _bpf_in_place(command, bytearray(attributes))


def _bpf_in_place(command: int, attributes: bytearray) -> int:
    content = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    return _syscall(0, command, ctypes.addressof(content), len(attributes))


def _ioctl(fd: int, request: int, argument: int) -> None:
    if _LIBC.ioctl(fd, ctypes.c_ulong(request), ctypes.c_ulong(argument)) < 0:
        _raise("ioctl of a perf event")


def _syscall(which: int, *arguments: int) -> int:
    number = _NUMBERS[platform.machine()][which]
    result: int = _LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments))
    if result < 0:
        _raise(("bpf", "perf_event_open", "membarrier")[which])
    return result


def _raise(name: str) -> NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, f"{name}: {os.strerror(number)}")
