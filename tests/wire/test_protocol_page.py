"""docs/protocol.md says what the code does: the picture, the layouts, the limits."""

import re
from pathlib import Path

import pytest

from rehost.agent.copy import sender
from rehost.receive import admissions, batch, server, session
from rehost.wire import channel
from rehost.wire import messages as m
from rehost.wire.codec import HEADER, LAYOUTS, Layout, encode
from rehost.wire.connection import diagram
from tests.wire.test_codec import GOLDEN

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
SECTION = re.compile(r"^#### \d+ (\w+)\n(.*?)(?=^#{3,4} )", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(PAGE))


def test_the_picture_is_the_state_table() -> None:
    """If this fails: put what `rehost.wire.connection.diagram()` returns into the page."""
    assert re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL) == [diagram()]


def test_every_message_has_its_section_and_number() -> None:
    told = [(int(number), name) for number, name in re.findall(r"^#### (\d+) (\w+)$", PAGE, re.MULTILINE)]
    assert told == [(layout.number, layout.message.__name__) for layout in LAYOUTS]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.message.__name__)
def test_the_limit_of_each_message(layout: Layout) -> None:
    (told,) = re.findall(r"At most (\d+) bytes of type and body", SECTIONS[layout.message.__name__])
    assert int(told) == layout.limit


@pytest.mark.parametrize("message", [golden[0] for golden in GOLDEN], ids=lambda found: type(found).__name__)
def test_the_fields_lie_where_the_page_says(message: m.Message) -> None:
    body = encode(message)[HEADER.size :]
    rows = re.findall(r"^\| (\d+) \| (\d*) ?\| (\w*) ?\|", SECTIONS[type(message).__name__], re.MULTILINE)
    end = 0
    for offset, size, field in rows:
        assert int(offset) == end
        end = int(offset) + int(size) if size else len(body)
        said = body[int(offset) : end]
        value = getattr(message, field) if field else None
        if isinstance(value, int):
            assert int.from_bytes(said, "big") == value
        elif isinstance(value, bytes | str):
            assert said == (value if isinstance(value, bytes) else value.encode())
    if rows:
        assert end == len(body)
        assert {field for *_, field in rows if field} == set(type(message).__slots__)


def test_the_limits_that_the_page_names() -> None:
    table = PAGE.split("### Limits")[1].split("###")[0]
    told = dict(re.findall(r"^\| ([\w ,]+?) \| (.+?) \|$", table, re.MULTILINE))
    assert told["frame"] == "1 MiB + 4 KiB"
    assert m.MAX_FRAME == (1 << 20) + (4 << 10)
    assert told["content of a chunk"] == f"{m.MAX_CHUNK >> 20} MiB"
    assert told["chunks in one Zero, DigestsRequest, Digests"] == str(m.MAX_COUNT)
    assert told["volumes of a ticket"] == str(m.MAX_VOLUMES)
    assert told["ticket"] == f"{m.MAX_TICKET >> 10} KiB"
    assert told["streams of a run"] == str(m.MAX_STREAMS)
    assert told["window"].startswith(f"{session.WINDOW >> 20} MiB ")
    assert told["connections of a receiver"] == (
        f"{admissions.CONNECTIONS} with a ticket, of which {admissions.FOR_FIRST} only for streams 0; "
        f"{server.MOST_CONNECTIONS} in all"
    )
    assert told["TLS handshake, and then the Hello"] == f"{server.GREETING:g} s each"
    assert told["a peer that takes nothing"] == f"{channel.STALL:g} s"
    owes = "a receiver that owes Welcome, Acks, Digests or Completed and says nothing"
    assert told[owes] == f"{sender.SILENCE:g} s"
    assert f"when it has {batch.FULL >> 20} MiB, or is {batch.PATIENCE * 1000:g} ms old" in PAGE
