"""Places of fields: in a description of types made here, and in this kernel's own."""

import struct
from pathlib import Path

import pytest

from rehost.track.bpf.btf import Btf
from rehost.track.bpf.programs import typed

VMLINUX = Path("/sys/kernel/btf/vmlinux")
INT, PTR, ARRAY, STRUCT, UNION, TYPEDEF, CONST, PROTO = 1, 2, 3, 4, 5, 8, 10, 13


class Maker:
    """Writes types one after the other; the first one has number 1."""

    def __init__(self) -> None:
        self.types, self.strings = b"", b"\0"

    def add(
        self, kind: int, name: str, value: int, *, count: int = 0, flag: int = 0, more: bytes = b""
    ) -> None:
        self.types += struct.pack("<III", self.name(name), kind << 24 | count | flag << 31, value) + more

    def structure(self, kind: int, name: str, *members: tuple[str, int, int], flag: int = 0) -> None:
        more = b"".join(struct.pack("<III", self.name(n), t, bits) for n, t, bits in members)
        self.add(kind, name, 64, count=len(members), flag=flag, more=more)

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def make(self) -> bytes:
        sizes = 0, len(self.types), len(self.types), len(self.strings)
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, *sizes) + self.types + self.strings


@pytest.fixture
def made() -> Btf:
    maker = Maker()
    maker.add(INT, "u64", 8, more=bytes(4))  # 1
    maker.structure(UNION, "", ("first", 1, 0), ("second", 1, 64))  # 2
    maker.structure(STRUCT, "request", ("q", 1, 0), ("", 2, 128), ("flags", 1, 8 << 24 | 320), flag=1)  # 3
    maker.add(CONST, "", 3)  # 4
    maker.add(PTR, "", 4)  # 5
    maker.add(PTR, "", 0)  # 6: void *
    maker.add(ARRAY, "", 0, more=bytes(12))  # 7
    parameters = struct.pack("<IIIIII", 0, 6, 0, 5, 0, 1)
    maker.add(PROTO, "", 0, count=3, more=parameters)  # 8
    maker.add(PTR, "", 8)  # 9
    maker.add(TYPEDEF, "btf_trace_x", 9)  # 10
    maker.add(TYPEDEF, "request", 1)  # 11: the same name, another kind
    return Btf(maker.make())


def test_fields_also_in_unnamed_members_and_as_bits(made: Btf) -> None:
    assert made.offset("request", "q") == 0
    assert made.offset("request", "second") == 24
    assert made.offset("request", "flags") == 40


def test_numbers_by_kind_and_name(made: Btf) -> None:
    assert (made.id_of("struct", "request"), made.id_of("typedef", "request")) == (3, 11)


def test_what_the_parameters_of_an_event_point_to(made: Btf) -> None:
    assert made.parameters("btf_trace_x") == ["", "request", ""]


def test_what_is_missing_is_named(made: Btf) -> None:
    with pytest.raises(LookupError, match="no struct queue"):
        made.offset("queue", "disk")
    with pytest.raises(LookupError, match="struct request has no field rq_disk"):
        made.offset("request", "rq_disk")
    with pytest.raises(LookupError, match="is no function"):
        made.parameters("request")
    with pytest.raises(ValueError, match="not a description"):
        Btf(b"\xeb\x9f" * 30)


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel does not describe its types")
def test_this_kernel_has_all_that_the_programs_need() -> None:
    found = typed(Btf(VMLINUX.read_bytes()))
    assert found.issue != found.complete
    assert len({found.sector, found.length, found.flags}) == 3
    assert found.minor == found.major + 4  # two integers, one after the other, at the beginning of a disk
