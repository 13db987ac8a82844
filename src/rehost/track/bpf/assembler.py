"""An assembler for the few BPF instructions that the tracker needs. Pure: labels and registers to bytes.

The encoding is that of the kernel's Documentation/bpf/standardization/instruction-set.rst: opcode, two
registers, a 16-bit offset, a 32-bit immediate; 8 bytes each, little endian.
"""

import struct
from enum import IntEnum

_INSTRUCTION = struct.Struct("<BBhi")
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_MEMORY = 0x60
_REGISTER = 0x08  # the operand is a register, not the immediate
_WIDE = 0x18  # load of a 64-bit immediate, in two slots
_PSEUDO_MAP = 1
_CALL, _EXIT, _JA = 0x85, 0x95, 0x05


class Alu(IntEnum):
    ADD = 0x00
    SUB = 0x10
    AND = 0x50
    LSH = 0x60
    RSH = 0x70
    MOV = 0xB0


class Jump(IntEnum):
    """Comparisons are of 64 bits and unsigned."""

    EQ = 0x10
    GT = 0x20
    GE = 0x30
    SET = 0x40
    NE = 0x50


class Assembler:
    """Takes instructions one by one; registers are 0 to 10 (10: the stack's end)."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int, int]] = []  # opcode, dst, src, offset, immediate
        self._labels: dict[str, int] = {}
        self._jumps: dict[int, str] = {}
        self._names = 0

    def alu(self, operation: Alu, register: int, value: int) -> None:
        """64-bit arithmetic with an immediate of 32 bits, sign-extended."""
        self._emit(0x07 | operation, register, 0, 0, value)

    def alu_register(self, operation: Alu, register: int, other: int) -> None:
        self._emit(0x07 | _REGISTER | operation, register, other, 0, 0)

    def narrow(self, register: int) -> None:
        """Keep the lower 32 bits."""
        self._emit(0x04 | _REGISTER | Alu.MOV, register, register, 0, 0)

    def load(self, size: int, register: int, base: int, offset: int) -> None:
        """register = memory of `size` bytes at base + offset"""
        self._emit(0x01 | _MEMORY | _SIZES[size], register, base, offset, 0)

    def store(self, size: int, base: int, offset: int, register: int) -> None:
        self._emit(0x03 | _MEMORY | _SIZES[size], base, register, offset, 0)

    def store_value(self, size: int, base: int, offset: int, value: int) -> None:
        self._emit(0x02 | _MEMORY | _SIZES[size], base, 0, offset, value)

    def wide(self, register: int, value: int) -> None:
        """A whole 64-bit value."""
        low, high = struct.unpack("<ii", struct.pack("<Q", value))
        self._emit(_WIDE, register, 0, 0, low)
        self._emit(0, 0, 0, 0, high)

    def map(self, register: int, fd: int) -> None:
        self._emit(_WIDE, register, _PSEUDO_MAP, 0, fd)
        self._emit(0, 0, 0, 0, 0)

    def call(self, function: int) -> None:
        self._emit(_CALL, 0, 0, 0, function)

    def exit(self) -> None:
        self._emit(_EXIT, 0, 0, 0, 0)

    def go(self, label: str) -> None:
        self._jump(_JA, 0, 0, label)

    def jump(self, comparison: Jump, register: int, value: int, label: str) -> None:
        self._jump(0x05 | comparison, register, value, label)

    def jump_register(self, comparison: Jump, register: int, other: int, label: str) -> None:
        self._jumps[len(self._code)] = label
        self._emit(0x05 | _REGISTER | comparison, register, other, 0, 0)

    def label(self, name: str) -> None:
        """The next instruction's name."""
        if name in self._labels:
            raise ValueError(f"label {name} is given twice")
        self._labels[name] = len(self._code)

    def fresh(self) -> str:
        """A label's name that nobody has."""
        self._names += 1
        return f"#{self._names}"

    def assemble(self) -> bytes:
        """ValueError for a jump to nowhere or backward: every program here ends by going on."""
        return b"".join(
            _INSTRUCTION.pack(code, dst | src << 4, self._distance(place, offset), value)
            for place, (code, dst, src, offset, value) in enumerate(self._code)
        )

    def _distance(self, place: int, offset: int) -> int:
        name = self._jumps.get(place)
        if name is None:
            return offset
        distance = self._labels.get(name, -1) - place - 1
        if distance < 0:
            raise ValueError(f"the jump to {name} leads nowhere or back")
        return distance

    def _jump(self, code: int, register: int, value: int, label: str) -> None:
        self._jumps[len(self._code)] = label
        self._emit(code, register, 0, 0, value)

    def _emit(self, code: int, dst: int, src: int, offset: int, value: int) -> None:
        self._code.append((code, dst, src, offset, value))
