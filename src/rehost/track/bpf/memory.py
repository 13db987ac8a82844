"""An array map's elements as words of 32 bits: mapped where the kernel allows it, else asked for."""

import ctypes
import mmap
from typing import Protocol

from rehost.track.bpf import system


class Memory(Protocol):
    def word(self, place: int) -> int:
        """A word of the first element, or of all of them if they are mapped."""

    def set_word(self, place: int, value: int) -> None: ...

    def all(self) -> memoryview:
        """All elements' words; of the moment when they are read if mapped."""

    def element(self, number: int) -> memoryview: ...

    def close(self) -> None: ...


class Mapped:
    """Since Linux 5.5. A read is a memory access, which costs nothing inside a freeze."""

    def __init__(self, memory: mmap.mmap, value: int, entries: int) -> None:
        self._memory = memory
        self._per = value // 4
        self._words = memoryview(memory).cast("I")[: entries * self._per]

    def word(self, place: int) -> int:
        return int(self._words[place])

    def set_word(self, place: int, value: int) -> None:
        self._words[place] = value  # one store

    def all(self) -> memoryview:
        return self._words

    def element(self, number: int) -> memoryview:
        return self._words[number * self._per : (number + 1) * self._per]

    def close(self) -> None:
        self._words.release()
        self._memory.close()


class Asked:
    """`value` bytes an element."""

    def __init__(self, fd: int, value: int, entries: int) -> None:
        self._fd, self._value, self._entries = fd, value, entries

    def word(self, place: int) -> int:
        return int(self.element(0)[place])

    def set_word(self, place: int, value: int) -> None:
        words = self.element(0)
        changed = memoryview(bytearray(words.tobytes())).cast("I")
        changed[place] = value
        system.update(self._fd, 0, changed.tobytes())

    def all(self) -> memoryview:
        return memoryview(b"".join(self.element(n).tobytes() for n in range(self._entries))).cast("I")

    def element(self, number: int) -> memoryview:
        content = ctypes.create_string_buffer(self._value)
        system.lookup(self._fd, number, content)
        return memoryview(content.raw).cast("I")

    def close(self) -> None:
        """The descriptor is not this object's."""


def memory_of(fd: int, value: int, entries: int, *, writable: bool = False) -> Memory:
    try:
        return Mapped(system.map_memory(fd, value * entries, writable=writable), value, entries)
    except OSError:  # no mapping before Linux 5.5, and none of a map that was made without the flag
        return Asked(fd, value, entries)
