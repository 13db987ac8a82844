"""The kernel's own description of its types (BTF), as far as the tracker asks it: places of fields by name.

Pure: takes the bytes of /sys/kernel/btf/vmlinux. Layout: the kernel's Documentation/bpf/btf.rst.
A kernel has more than a hundred thousand types, so only what is asked for becomes objects.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = struct.Struct(
    "<HBBIIIII"
)  # magic, version, flags, header's length, types at, length, strings at, length
_MAGIC = 0xEB9F
_TYPE = struct.Struct("<III")  # name, kind and count, size or type
_MEMBER = struct.Struct("<III")  # name, type, bit offset
_PARAMETER = struct.Struct("<II")  # name, type
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM = 1, 2, 3, 4, 5, 6
_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC_PROTO, _VAR, _DATASEC = 8, 9, 10, 11, 13, 14, 15
_DECL_TAG, _TYPE_TAG, _ENUM64 = 17, 18, 19
_THROUGH = (_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG)
# What follows a type's 12 bytes: a fixed part, and a part for each of its members.
_FIXED = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}


@dataclass(frozen=True, slots=True)
class _Type:
    name: int
    kind: int
    count: int
    flag: bool
    value: int  # size, or the type that it refers to
    at: int  # of what follows it


class Btf:
    """ValueError for bytes that are no BTF; LookupError, with the name, for what the kernel does not have."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER.size or _HEADER.unpack_from(data)[0] != _MAGIC:
            raise ValueError("not a description of types (BTF) for this machine's byte order")
        _, _, _, head, types, length, strings, string_length = _HEADER.unpack_from(data)
        self._data = data
        self._strings = head + strings
        self._strings_end = self._strings + string_length
        self._places = _places(data, head + types, head + types + length)

    def id_of(self, kind: str, name: str) -> int:
        """The number of a "struct" or "typedef" of this name; LookupError if there is none."""
        wanted = {"struct": _STRUCT, "typedef": _TYPEDEF}[kind]
        names = set(self._string_offsets(name))
        for number in range(1, len(self._places)):
            place = self._places[number]
            name_at, info = struct.unpack_from("<II", self._data, place)
            if name_at in names and info >> 24 & 0x1F == wanted:
                return number
        raise LookupError(f"the kernel has no {kind} {name}")

    def offset(self, structure: str, field: str) -> int:
        """Bytes from the structure's beginning to the field, also inside unnamed members."""
        number = self.id_of("struct", structure)
        for name, bits in self._fields(number, 0):
            if name == field:
                return bits // 8
        raise LookupError(f"the kernel's struct {structure} has no field {field}")

    def parameters(self, typedef: str) -> list[str]:
        """Of a typedef of a pointer to a function: the name of the structure that each parameter points to,
        or an empty name."""
        pointer = self._type(self._through(self.id_of("typedef", typedef)))
        function = self._type(self._through(pointer.value))
        if pointer.kind != _PTR or function.kind != _FUNC_PROTO:
            raise LookupError(f"the kernel's {typedef} is no function")
        return [
            self._target(_PARAMETER.unpack_from(self._data, function.at + 8 * place)[1])
            for place in range(function.count)
        ]

    def _fields(self, number: int, base: int) -> Iterator[tuple[str, int]]:
        found = self._type(self._through(number))
        if found.kind not in (_STRUCT, _UNION):
            return
        for place in range(found.count):
            name_at, member, bits = _MEMBER.unpack_from(self._data, found.at + _MEMBER.size * place)
            bits = base + (bits & 0xFFFFFF if found.flag else bits)
            if name := self._string(name_at):
                yield name, bits
            else:
                yield from self._fields(member, bits)

    def _target(self, number: int) -> str:
        pointer = self._type(self._through(number)) if number else None
        if pointer is None or pointer.kind != _PTR or not pointer.value:
            return ""
        found = self._type(self._through(pointer.value))
        return self._string(found.name) if found.kind == _STRUCT else ""

    def _through(self, number: int) -> int:
        while number and (found := self._type(number)).kind in _THROUGH and found.value:
            number = found.value
        return number

    def _type(self, number: int) -> _Type:
        place = self._places[number]
        name, info, value = _TYPE.unpack_from(self._data, place)
        return _Type(name, info >> 24 & 0x1F, info & 0xFFFF, bool(info >> 31), value, place + _TYPE.size)

    def _string(self, offset: int) -> str:
        start = self._strings + offset
        return self._data[start : self._data.index(b"\0", start)].decode()

    def _string_offsets(self, name: str) -> Iterator[int]:
        wanted, place = b"\0" + name.encode() + b"\0", self._strings
        while (place := self._data.find(wanted, place, self._strings_end)) >= 0:
            place += 1
            yield place - self._strings


def _places(data: bytes, start: int, end: int) -> "array[int]":
    """Where each type begins, by its number; number 0 is void and has no place."""
    places, place = array("I", [0]), start
    unpack, fixed, each = struct.Struct("<I").unpack_from, _FIXED, _EACH
    while place < end:
        places.append(place)
        (info,) = unpack(data, place + 4)
        kind = info >> 24 & 0x1F
        place += 12 + fixed.get(kind, 0) + each.get(kind, 0) * (info & 0xFFFF)
    return places
