"""Patches: pages that are laid over chunks, and what does not let them be."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.block.writer import ReplicaWriter, open_writer
from rehost.core import digest, pages
from rehost.core.errors import (
    DigestMismatchError,
    InvalidValueError,
    PatchRefusedError,
    TicketStaleError,
    WireError,
)
from rehost.core.pages import PAGE
from rehost.wire import messages as m
from tests.receive.talk import Talk, lone_volume, ticket

CHUNK = 8 * PAGE
FIRST = random.Random(1).randbytes(CHUNK)


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaWriter]:
    path = tmp_path_factory.mktemp("replicas") / "job"
    lone_volume(path, CHUNK, 3)
    with open_writer(path) as opened:
        yield opened


def begin(replica: ReplicaWriter) -> Talk:
    """The first chunk is FIRST, nothing is pending."""
    talk = Talk(replica, ticket(shapes=replica.shapes))
    talk.data(0, 0, FIRST)
    talk.session.commit()
    return talk


def on_disk(replica: ReplicaWriter) -> bytes:
    return replica.layer.data(0).read_bytes()[:CHUNK]


@given(st.sets(st.integers(0, 7), min_size=1), st.integers(0, 2**32), st.booleans())
def test_pages_are_laid_over_what_is_there(
    replica: ReplicaWriter, chosen: set[int], seed: int, zeroes: bool
) -> None:
    talk, number = begin(replica), sum(1 << page for page in chosen)
    fresh = bytes(CHUNK) if zeroes else random.Random(seed).randbytes(CHUNK)
    expected = b"".join(
        (fresh if page in chosen else FIRST)[page * PAGE : (page + 1) * PAGE] for page in range(8)
    )
    content = b"".join(fresh[part.start : part.end] for part in pages.parts(number, CHUNK))
    assert talk.patch(0, 0, number, content) == []
    assert replica.digests(0, 0, 1) == digest.of(FIRST)  # until it is durable
    assert talk.session.commit() == [m.Ack(2)]
    assert on_disk(replica) == expected
    assert replica.digests(0, 0, 1) == digest.of(expected)


def test_only_pages_that_differ_are_written(replica: ReplicaWriter) -> None:
    begin(replica)
    content = FIRST[PAGE : 3 * PAGE] + os.urandom(PAGE) + FIRST[4 * PAGE : 5 * PAGE]
    write = replica.patched(0, 0, 0b11110, content)
    assert write.pieces == ((3 * PAGE, content[2 * PAGE : 3 * PAGE]),)
    assert replica.patched(0, 0, 0b110, FIRST[PAGE : 3 * PAGE]).pieces == ()


def test_what_decayed_is_not_vouched_for_but_forgotten(replica: ReplicaWriter) -> None:
    talk = begin(replica)
    replica.devices[0].write(5 * PAGE, b"decayed")
    with pytest.raises(PatchRefusedError, match="not as it was written"):
        talk.patch(0, 0, 1, os.urandom(PAGE))
    assert replica.digests(0, 0, 1) == digest.ABSENT
    assert talk.session.commit() == []


def test_nothing_is_laid_over_nothing(replica: ReplicaWriter) -> None:
    with pytest.raises(PatchRefusedError, match="is not here"):
        begin(replica).patch(0, 2, 1, os.urandom(PAGE))
    assert replica.digests(0, 2, 1) == digest.ABSENT


def test_the_same_patch_again_changes_nothing(replica: ReplicaWriter) -> None:
    """As after a connection that was lost before the Ack."""
    content, first = os.urandom(PAGE), begin(replica)
    for talk in (first, Talk(replica, ticket(shapes=replica.shapes))):
        talk.patch(0, 0, 2, content)
        talk.session.commit()
        assert on_disk(replica) == FIRST[:PAGE] + content + FIRST[2 * PAGE :]


def test_a_chunk_that_somebody_else_wrote_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """An agent must not do that: its patch would stand under a digest that knows nothing of the other."""
    lone_volume(tmp_path / "job", CHUNK, 3)
    with open_writer(tmp_path / "job") as replica:
        one, other = begin(replica), Talk(replica, ticket(shapes=replica.shapes))
        one.patch(0, 0, 1, os.urandom(PAGE))
        other.patch(0, 0, 2, os.urandom(PAGE))
        one.session.commit()
        before = on_disk(replica)
        with pytest.raises(WireError, match="written twice at once"):
            other.session.commit()
        assert on_disk(replica) == before


@pytest.mark.parametrize(("number", "length"), [(1 << 8, PAGE), (3, PAGE), (0b101, 2 * PAGE - 1)])
def test_pages_that_the_chunk_does_not_have(replica: ReplicaWriter, number: int, length: int) -> None:
    with pytest.raises(InvalidValueError):
        begin(replica).patch(0, 0, number, os.urandom(length))
    with pytest.raises(InvalidValueError):
        begin(replica).patch(0, 3, 1, os.urandom(PAGE))


def test_damage_on_the_way_is_noticed(replica: ReplicaWriter) -> None:
    with pytest.raises(DigestMismatchError):
        begin(replica).patch(0, 0, 1, os.urandom(PAGE), digest=digest.of(b"other"))


def test_an_older_generation_can_not_even_make_forget(tmp_path: Path) -> None:
    lone_volume(tmp_path / "job", CHUNK, 3)
    with open_writer(tmp_path / "job") as replica:
        talk = begin(replica)
        replica.raise_generation(2)
        replica.devices[0].write(5 * PAGE, b"decayed")
        with pytest.raises(TicketStaleError):
            talk.patch(0, 0, 1, os.urandom(PAGE))
        assert replica.digests(0, 0, 1) == digest.of(FIRST)
