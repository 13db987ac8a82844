"""Classic tracepoints as kernels tell of them."""

import pytest

from rehost.track.bpf.formats import Field, parse

# Debian 12, Linux 6.1, shortened.
ISSUE = """\
name: block_rq_issue
ID: 1198
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;
\tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;
\tfield:unsigned int nr_sector;\toffset:24;\tsize:4;\tsigned:0;
\tfield:unsigned int bytes;\toffset:28;\tsize:4;\tsigned:0;
\tfield:char rwbs[8];\toffset:32;\tsize:8;\tsigned:0;
\tfield:__data_loc char[] cmd;\toffset:56;\tsize:4;\tsigned:0;

print fmt: "%d,%d %s", ((unsigned int) ((REC->dev) >> 20))
"""


def test_fields_with_their_places() -> None:
    found = parse(ISSUE)
    assert found.number == 1198
    assert found.field("sector", 8) == 16
    assert found.fields["rwbs"] == Field(32, 8)
    assert found.fields["cmd"] == Field(56, 4)


def test_a_field_of_another_size_is_another_field() -> None:
    with pytest.raises(LookupError, match="sector of 4 bytes"):
        parse(ISSUE).field("sector", 4)
    with pytest.raises(LookupError, match="error"):
        parse(ISSUE).field("error", 4)


def test_what_is_no_format() -> None:
    with pytest.raises(ValueError, match="not the format"):
        parse("name: x")
