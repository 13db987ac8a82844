"""Instructions as bytes, compared with what the kernel's own tools make of them."""

import pytest

from rehost.track.bpf.assembler import Alu, Assembler, Jump


def test_each_instruction_as_the_kernel_encodes_it() -> None:
    code = Assembler()
    code.alu(Alu.MOV, 0, 0)
    code.alu(Alu.ADD, 2, -4)
    code.alu_register(Alu.MOV, 2, 10)
    code.alu_register(Alu.SUB, 1, 6)
    code.alu(Alu.RSH, 6, 18)
    code.narrow(9)
    code.load(8, 6, 1, 16)
    code.load(4, 3, 2, 4)
    code.load(1, 8, 1, 34)
    code.store(4, 10, -4, 1)
    code.store_value(4, 10, -8, 7)
    code.wide(3, 0x1_8000_0002)
    code.map(1, 5)
    code.call(1)
    code.exit()
    assert code.assemble().hex(" ", 8).split() == [
        "b700000000000000",
        "07020000fcffffff",
        "bfa2000000000000",
        "1f61000000000000",
        "7706000012000000",
        "bc99000000000000",
        "7916100000000000",
        "6123040000000000",
        "7118220000000000",
        "631afcff00000000",
        "620af8ff07000000",
        "1803000002000080",
        "0000000001000000",
        "1811000005000000",
        "0000000000000000",
        "8500000001000000",
        "9500000000000000",
    ]


def test_jumps_lead_forward_to_their_labels() -> None:
    code = Assembler()
    code.jump(Jump.EQ, 0, 0, "end")
    code.jump(Jump.GE, 8, 32, "end")
    code.jump_register(Jump.GT, 6, 7, "end")
    code.go("end")
    code.alu(Alu.MOV, 0, 1)
    code.label("end")
    code.exit()
    assert code.assemble().hex(" ", 8).split() == [
        "1500040000000000",
        "3508030020000000",
        "2d76020000000000",
        "0500010000000000",
        "b700000001000000",
        "9500000000000000",
    ]


def test_jumps_to_nowhere_and_back_are_refused() -> None:
    code = Assembler()
    code.label("start")
    code.go("start")
    with pytest.raises(ValueError, match="start"):
        code.assemble()
    code = Assembler()
    code.go("nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        code.assemble()
    with pytest.raises(ValueError, match="twice"):
        code.label("twice"), code.label("twice")
