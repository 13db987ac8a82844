"""The tracker's programs: what runs in the kernel at each request of a disk. Pure: values to instructions.

Registers: 6 the first cell (before: the sector), 7 the last cell (before: the request's length in bytes),
8 the epoch (before: what kind of request it is), 9 the bytes that were completed.
"""

from dataclasses import dataclass

from rehost.track.bpf.assembler import Alu, Assembler, Jump
from rehost.track.bpf.btf import Btf
from rehost.track.bpf.formats import Format

CELLS = 1024  # cells in an element of the map of cells: one page, so that pages can be mapped and skipped
BLOCK = 32  # cells; a group of CELLS cells has as many blocks
GROUP = 8 + 4 * (CELLS // BLOCK)  # bytes; epochs of the last mark in the group, on all of it, on each block
COUNTS = 32  # bytes: requests of any kind, sectors written, passthrough requests that send data, a scratch
SPAN = 64  # cells that are marked one by one; longer requests mark blocks and groups between their ends
_LONGEST = 1 << 32  # bytes: a request has less
_LOOKUP = 1
_SCRATCH = 24  # in the row of counts
_KEY, _ROW = -4, -16  # on the stack
_READ, _PASSTHROUGH = 0, 32  # REQ_OP_READ; REQ_OP_SCSI_IN was the first of the passthrough operations
_OUT = 1  # the bit of operations that send data


@dataclass(frozen=True, slots=True)
class Maps:
    """Descriptors."""

    epoch: int
    cells: int
    groups: int
    counts: int


@dataclass(frozen=True, slots=True)
class Target:
    """Which disk a program watches, and where it writes."""

    major: int
    minor: int
    shift: int  # a cell tells of 2**shift bytes
    maps: Maps

    @property
    def groups(self) -> int:
        """The most that lie whole within one request."""
        return _LONGEST >> self.shift + CELLS.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Typed:
    """Where a kernel with BTF keeps what a program needs; offsets in bytes."""

    issue: int  # the types that the programs are loaded for
    complete: int
    issued: int  # which argument of the event is the request
    completed: int
    sector: int
    length: int
    flags: int
    disk: tuple[int, ...]  # the way from the request to its disk
    major: int
    minor: int


def typed(btf: Btf) -> Typed:
    """LookupError names what this kernel does not have."""
    try:
        disk: tuple[int, ...] = (btf.offset("request", "q"), btf.offset("request_queue", "disk"))
    except LookupError:
        disk = (btf.offset("request", "rq_disk"),)  # before Linux 5.17
    events = [f"btf_trace_block_rq_{event}" for event in ("issue", "complete")]
    issue, complete = (btf.id_of("typedef", event) for event in events)
    # The first parameter is the tracepoint's own; a program does not get it.
    issued, completed = (_place(btf.parameters(event)[1:], event) for event in events)
    return Typed(
        issue,
        complete,
        issued,
        completed,
        btf.offset("request", "__sector"),
        btf.offset("request", "__data_len"),
        btf.offset("request", "cmd_flags"),
        disk,
        btf.offset("gendisk", "major"),
        btf.offset("gendisk", "first_minor"),
    )


def _place(parameters: list[str], event: str) -> int:
    if "request" not in parameters:
        raise LookupError(f"{event} does not get a request")
    return parameters.index("request")


def typed_program(where: Typed, target: Target, row: int) -> bytes:
    """For the event of a request that is issued (row 0 of the counts) or completed (other rows)."""
    code = Assembler()
    request = where.completed if row else where.issued
    code.load(8, 6, 1, 8 * request)
    if row:
        code.load(8, 9, 1, 8 * (request + 2))  # after the request: its error, the bytes that are complete
        code.narrow(9)
    else:
        code.alu(Alu.MOV, 9, 0)
    code.alu_register(Alu.MOV, 2, 6)
    for offset in where.disk:
        code.load(8, 2, 2, offset)
    for offset, number in ((where.major, target.major), (where.minor, target.minor)):
        code.load(4, 3, 2, offset)
        code.jump(Jump.NE, 3, number, "end")
    code.load(4, 8, 6, where.flags)
    code.alu(Alu.AND, 8, 0xFF)
    code.load(4, 7, 6, where.length)
    code.load(8, 6, 6, where.sector)
    _count(code, target, row)
    code.jump(Jump.EQ, 8, _READ, "end")
    code.jump(Jump.GE, 8, _PASSTHROUGH, "passthrough")
    _mark(code, target)
    code.label("passthrough")
    code.jump(Jump.EQ, 7, 0, "end")
    code.alu(Alu.AND, 8, _OUT)
    code.jump(Jump.EQ, 8, 0, "end")
    _add(code, 16, 1)
    return _end(code)


def classic_program(event: Format, target: Target, row: int) -> bytes:
    """For a classic tracepoint; LookupError if the event lacks a field.

    What an operation is comes from its letters. Requests with bytes and no sectors are passthrough; which
    way their data go is not told.
    """
    code = Assembler()
    code.load(4, 2, 1, event.field("dev", 4))
    code.wide(3, target.major << 20 | target.minor)
    code.jump_register(Jump.NE, 2, 3, "end")
    code.load(8, 6, 1, event.field("sector", 8))
    code.load(4, 7, 1, event.field("nr_sector", 4))
    code.alu(Alu.LSH, 7, 9)
    code.load(4, 9, 1, event.field("bytes" if row == 0 else "nr_sector", 4))
    letters = event.fields["rwbs"].offset
    code.load(1, 8, 1, letters)
    code.jump(Jump.NE, 8, ord("F"), "letter")  # a flush before the data
    code.load(1, 8, 1, letters + 1)
    code.label("letter")
    if row:
        code.alu(Alu.LSH, 9, 9)
    _count(code, target, row)
    code.jump(Jump.EQ, 8, ord("R"), "end")
    if row == 0:
        code.jump(Jump.NE, 7, 0, "data")
        code.jump(Jump.NE, 9, 0, "passthrough")
        code.label("data")
        code.alu(Alu.MOV, 9, 0)
    _mark(code, target)
    if row == 0:
        code.label("passthrough")
        _add(code, 16, 1)
    return _end(code)


def _end(code: Assembler) -> bytes:
    code.label("end")
    code.alu(Alu.MOV, 0, 0)
    code.exit()
    return code.assemble()


def _count(code: Assembler, target: Target, row: int) -> None:
    """Leave the row of counts on the stack, for `_add`. Plain additions do: a row is its CPU's own, and a
    program never interrupts itself."""
    code.store_value(4, 10, _KEY, row)
    _look_up(code, target.maps.counts)
    code.store(8, 10, _ROW, 0)
    _add(code, 0, 1)


def _add(code: Assembler, offset: int, value: int) -> None:
    code.load(8, 1, 10, _ROW)
    code.load(8, 2, 1, offset)
    code.alu(Alu.ADD, 2, value)
    code.store(8, 1, offset, 2)


def _mark(code: Assembler, target: Target) -> None:
    """Count what was written and mark its cells with the present epoch, then end."""
    code.alu_register(Alu.MOV, 3, 9)
    code.alu(Alu.RSH, 3, 9)
    code.load(8, 1, 10, _ROW)
    code.load(8, 2, 1, 8)
    code.alu_register(Alu.ADD, 2, 3)
    code.store(8, 1, 8, 2)
    _cells(code, target.shift)
    code.store_value(4, 10, _KEY, 0)
    _look_up(code, target.maps.epoch)
    code.load(4, 8, 0, 0)
    for register in (6, 7):  # the ends may lie in groups that nothing below marks as a whole
        _element(code, target.maps.groups, register, CELLS)
        code.store(4, 0, 0, 8)
    code.alu_register(Alu.MOV, 1, 7)
    code.alu_register(Alu.SUB, 1, 6)
    code.jump(Jump.GE, 1, SPAN, "long")
    _up_to_the_end(code, target.maps, SPAN)
    code.label("long")
    _mark_long(code, target)


def _cells(code: Assembler, shift: int) -> None:
    """From sector and bytes to the first and the last cell."""
    code.jump_register(Jump.GE, 7, 9, "length")
    code.alu_register(Alu.MOV, 7, 9)
    code.label("length")
    code.jump(Jump.EQ, 7, 0, "end")
    code.alu(Alu.LSH, 6, 9)
    code.alu_register(Alu.ADD, 7, 6)
    code.alu(Alu.SUB, 7, 1)
    code.alu(Alu.RSH, 7, shift)
    code.alu(Alu.RSH, 6, shift)


def _mark_long(code: Assembler, target: Target) -> None:
    """Cells up to a block, blocks up to a group, groups, blocks, cells: exact, in a bound number of steps.

    Everything is unrolled: verifiers before Linux 5.3 take no loops.
    """
    maps = target.maps
    _forget(code)
    for _ in range(BLOCK):
        _leave_at_multiple(code, BLOCK, "blocks")
        _mark_cell(code, maps)
    code.label("blocks")
    _forget(code)
    for _ in range(CELLS // BLOCK):
        _leave_at_multiple(code, CELLS, "groups")
        _leave_before_end(code, BLOCK, "rest")
        _mark_block(code, maps)
    code.label("groups")
    _forget(code)
    for _ in range(target.groups):
        _leave_before_end(code, CELLS, "last blocks")
        _mark_group(code, maps)
    code.label("last blocks")
    _forget(code)
    for _ in range(CELLS // BLOCK):
        _leave_before_end(code, BLOCK, "rest")
        _mark_block(code, maps)
    code.label("rest")
    _forget(code)
    _up_to_the_end(code, maps, BLOCK)


def _forget(code: Assembler) -> None:
    """Make the verifier forget what it knows of the first and the last cell, by a way through memory: there
    are many ways to here, and without this it would follow what comes after for each of them.

    Register 9 is the end afterwards.
    """
    code.load(8, 1, 10, _ROW)
    for register in (6, 7):
        code.store(8, 1, _SCRATCH, register)
        code.load(8, register, 1, _SCRATCH)
    code.alu_register(Alu.MOV, 9, 7)
    code.alu(Alu.ADD, 9, 1)


def _leave_at_multiple(code: Assembler, size: int, label: str) -> None:
    code.alu_register(Alu.MOV, 1, 6)
    code.alu(Alu.AND, 1, size - 1)
    code.jump(Jump.EQ, 1, 0, label)


def _leave_before_end(code: Assembler, size: int, label: str) -> None:
    """If the next `size` cells are not all of the request's."""
    code.alu_register(Alu.MOV, 1, 6)
    code.alu(Alu.ADD, 1, size)
    code.jump_register(Jump.GT, 1, 9, label)


def _up_to_the_end(code: Assembler, maps: Maps, most: int) -> None:
    for _ in range(most):
        code.jump_register(Jump.GT, 6, 7, "end")
        _mark_cell(code, maps)
    code.go("end")


def _mark_cell(code: Assembler, maps: Maps) -> None:
    _element(code, maps.cells, 6, CELLS)
    _step_into(code, 1, CELLS)
    code.store(4, 0, 0, 8)
    code.alu(Alu.ADD, 6, 1)


def _mark_block(code: Assembler, maps: Maps) -> None:
    _element(code, maps.groups, 6, CELLS)
    code.store(4, 0, 0, 8)
    _step_into(code, BLOCK, CELLS // BLOCK)
    code.store(4, 0, 8, 8)
    code.alu(Alu.ADD, 6, BLOCK)


def _mark_group(code: Assembler, maps: Maps) -> None:
    _element(code, maps.groups, 6, CELLS)
    code.store(4, 0, 0, 8)
    code.store(4, 0, 4, 8)
    code.alu(Alu.ADD, 6, CELLS)


def _element(code: Assembler, map_: int, cell: int, per: int) -> None:
    """register 0 = the element that tells of the cell in a register, one for `per` cells"""
    code.alu_register(Alu.MOV, 1, cell)
    code.alu(Alu.RSH, 1, per.bit_length() - 1)
    code.store(4, 10, _KEY, 1)
    _look_up(code, map_)


def _step_into(code: Assembler, size: int, count: int) -> None:
    """Move register 0 on to the word of the cell in register 6: one for `size` cells, `count` of them."""
    code.alu_register(Alu.MOV, 1, 6)
    if size > 1:
        code.alu(Alu.RSH, 1, size.bit_length() - 1)
    code.alu(Alu.AND, 1, count - 1)
    code.alu(Alu.LSH, 1, 2)
    code.alu_register(Alu.ADD, 0, 1)


def _look_up(code: Assembler, map_: int) -> None:
    """register 0 = the element whose key is on the stack; a program ends where there is none: past the
    disk's end."""
    code.map(1, map_)
    code.alu_register(Alu.MOV, 2, 10)
    code.alu(Alu.ADD, 2, _KEY)
    code.call(_LOOKUP)
    code.jump(Jump.EQ, 0, 0, "end")
