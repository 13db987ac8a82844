"""A device that forgets some of what was not flushed when the power goes, as disks do, by sectors."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from rehost.block.memory import MemoryDevice

SECTOR = 512


class PowerCut(BaseException):
    """Not an Exception: nothing that runs on the machine can handle it."""


@dataclass(slots=True)
class Power:
    """Goes off before the operation numbered `last`, over all devices that hang on it."""

    last: int
    error: Callable[[], BaseException] = PowerCut
    used: int = 0

    def use(self) -> None:
        if self.used == self.last:
            raise self.error()
        self.used += 1


class VolatileDevice(MemoryDevice):
    def __init__(self, size: int, power: Power) -> None:
        super().__init__(size)
        self._power = power
        self._durable = bytearray(size)
        self._dirty: set[int] = set()

    def fill(self, content: bytes) -> None:
        """What the disk had when the power came on."""
        super().write(0, content)
        self._durable[:] = content

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._power.use()
        super().write(offset, data)
        if len(data):
            self._dirty.update(range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1))

    def flush(self) -> None:
        self._power.use()
        self._durable[:] = self._content
        self._dirty.clear()

    def after_cut(self, choose: random.Random) -> MemoryDevice:
        """What the disk has when the power is back: of the unflushed sectors, any subset."""
        survivor = MemoryDevice(self.size)
        survivor.write(0, bytes(self._durable))
        for sector in sorted(self._dirty):
            if choose.random() < 0.5:
                start = sector * SECTOR
                survivor.write(start, bytes(self._content[start : start + SECTOR]))
        return survivor
