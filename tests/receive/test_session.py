"""A session on a real replica, without a network."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehost.block.replica import create
from rehost.block.volume import VolumeShape
from rehost.block.writer import ReplicaWriter, open_writer
from rehost.core import digest
from rehost.core.errors import (
    DigestMismatchError,
    InvalidValueError,
    RehostError,
    ReplicaIncompleteError,
    TicketError,
    TicketStaleError,
    WireError,
)
from rehost.receive.batch import FULL, PATIENCE
from rehost.receive.buffers import Buffers
from rehost.receive.session import WINDOW, Admission, Session
from rehost.receive.ticket import Ticket
from rehost.wire import messages as m
from tests.receive.talk import CHUNK, SHAPES, Talk, lone_volume, ticket


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[ReplicaWriter]:
    create(tmp_path / "job", SHAPES)
    with open_writer(tmp_path / "job") as opened:
        opened.raise_generation(1)
        yield opened


def test_the_welcome_says_what_there_is(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    states = (m.VolumeState(0, 8 * CHUNK, CHUNK, True), m.VolumeState(1, 2 * CHUNK + 512, CHUNK, True))
    assert talk.welcome == m.Welcome(1, WINDOW, states)
    talk.zero(1, 0, 1)
    talk.session.commit()
    assert [v.fresh for v in Talk(replica, ticket()).welcome.volumes] == [True, False]


def test_a_newer_agent_gets_the_version_that_both_know(replica: ReplicaWriter) -> None:
    session = Session(lambda _: Admission(ticket(), replica), Buffers(1))
    (welcome,) = session.handle(m.Hello(7, "t", 0), 0.0)
    assert isinstance(welcome, m.Welcome)
    assert welcome.version == 1
    with pytest.raises(WireError, match="version 0"):
        Session(lambda _: Admission(ticket(), replica), Buffers(1)).handle(m.Hello(0, "t", 0), 0.0)


def test_nothing_is_acknowledged_before_it_is_durable(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    content = os.urandom(CHUNK)
    assert talk.data(0, 2, content) == []
    assert talk.zero(1, 0, 3) == []
    assert replica.digests(0, 2, 1) == digest.ABSENT
    assert talk.session.commit() == [m.Ack(2)]
    assert replica.digests(0, 2, 1) == digest.of(content)
    assert replica.digests(1, 2, 1) == digest.of_zeroes(512)
    assert talk.session.commit() == []


def test_lent_payloads_are_copied(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    lent = bytearray(b"a" * CHUNK)
    talk.data(0, 0, b"a" * CHUNK, payload=memoryview(lent))
    lent[:] = b"b" * CHUNK
    talk.data(0, 1, b"b" * CHUNK, payload=memoryview(lent))
    talk.session.commit()
    assert replica.layer.data(0).read_bytes()[: 2 * CHUNK] == b"a" * CHUNK + b"b" * CHUNK


def test_a_batch_is_due_when_it_is_old(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    assert not talk.session.due(1000.0)
    talk.data(0, 0, b"a" * CHUNK, now=5.0)
    talk.data(0, 1, b"a" * CHUNK, now=5.0 + PATIENCE / 2)
    assert not talk.session.due(5.0 + PATIENCE * 0.9)
    assert talk.session.due(5.0 + PATIENCE * 1.1)
    talk.session.commit()
    assert not talk.session.due(1000.0)


def test_memory_is_bounded_a_full_batch_is_committed_at_once(tmp_path: Path) -> None:
    chunk = 1 << 20
    shapes = lone_volume(tmp_path / "job", chunk, 20)
    with open_writer(tmp_path / "job") as replica:
        talk = Talk(replica, ticket(shapes=shapes))
        answers = [talk.data(0, number, bytes([number]) * chunk) for number in range(FULL // chunk + 2)]
        assert answers == [[]] * (FULL // chunk - 1) + [[m.Ack(FULL // chunk)], [], []]
        assert talk.session.commit() == [m.Ack(FULL // chunk + 2)]


def test_zeroes_count_by_their_journal(tmp_path: Path) -> None:
    """Else a batch of zeroes alone, a few bytes each, could stand for a whole disk."""
    shapes = lone_volume(tmp_path / "job", 512, m.MAX_COUNT * 9)
    with open_writer(tmp_path / "job") as replica:
        talk = Talk(replica, ticket(shapes=shapes))
        answers = [talk.zero(0, number * m.MAX_COUNT, m.MAX_COUNT) for number in range(9)]
        assert answers == [[]] * 7 + [[m.Ack(8)], []]


def test_digests_tell_what_is_durable_including_what_came_before_the_question(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    talk.data(0, 1, b"x" * CHUNK)
    answers = talk.session.handle(m.DigestsRequest(0, 0, 3), 0.0)
    assert answers == [m.Ack(1), m.Digests(0, 0, digest.ABSENT + digest.of(b"x" * CHUNK) + digest.ABSENT)]


def test_a_wrong_digest_is_refused_before_the_write(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    with pytest.raises(DigestMismatchError, match="chunk 3 of volume 0"):
        talk.data(0, 3, b"x" * CHUNK, digest=digest.of(b"y"))
    assert talk.session.commit() == []
    assert replica.layer.data(0).read_bytes() == bytes(8 * CHUNK)


def test_without_checksum_the_digest_is_taken_on_trust(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket(checksum=False))
    talk.data(0, 3, b"x" * CHUNK, digest=digest.of(b"y"))
    talk.session.commit()
    assert replica.digests(0, 3, 1) == digest.of(b"y")


@pytest.mark.parametrize(
    ("volume", "chunk", "length"),
    [(2, 0, CHUNK), (0, 8, CHUNK), (0, 0, CHUNK - 1), (1, 2, CHUNK), (1, 3, 512)],
)
def test_a_chunk_that_is_not_of_the_volume_is_refused(
    replica: ReplicaWriter, volume: int, chunk: int, length: int
) -> None:
    with pytest.raises(InvalidValueError):
        Talk(replica, ticket()).data(volume, chunk, bytes(length))


@pytest.mark.parametrize(("volume", "first", "count"), [(2, 0, 1), (0, 8, 1), (0, 0, 9), (1, 2, 2)])
def test_ranges_that_are_not_of_the_volume_are_refused(
    replica: ReplicaWriter, volume: int, first: int, count: int
) -> None:
    with pytest.raises(InvalidValueError):
        Talk(replica, ticket()).zero(volume, first, count)
    with pytest.raises(InvalidValueError):
        Talk(replica, ticket()).session.handle(m.DigestsRequest(volume, first, count), 0.0)


def test_complete_needs_every_chunk_and_answers_with_the_roots(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    talk.zero(0, 0, 8)
    talk.session.commit()
    with pytest.raises(ReplicaIncompleteError, match="volume 1 lacks chunks"):
        talk.session.handle(m.Complete(), 0.0)
    assert not talk.session.done
    talk.zero(1, 0, 3)
    talk.session.commit()
    zero = digest.of_zeroes(CHUNK)
    roots = (
        digest.root([zero] * 8, 8 * CHUNK),
        digest.root([zero, zero, digest.of_zeroes(512)], 2 * CHUNK + 512),
    )
    assert talk.session.handle(m.Complete(), 0.0) == [m.Completed(roots)]
    assert talk.session.done


def test_a_raised_generation_stops_a_writer_at_its_next_batch(replica: ReplicaWriter) -> None:
    talk = Talk(replica, ticket())
    talk.data(0, 0, b"old!" * (CHUNK // 4))
    replica.raise_generation(2)
    with pytest.raises(TicketStaleError):
        talk.session.commit()
    with pytest.raises(TicketStaleError):
        talk.session.handle(m.Complete(), 0.0)
    assert replica.digests(0, 0, 1) == digest.ABSENT


@pytest.mark.parametrize("leave", [ticket(generation=0), ticket(generation=2)])
def test_a_ticket_of_another_generation_is_stale_at_once(replica: ReplicaWriter, leave: Ticket) -> None:
    with pytest.raises(TicketStaleError):
        Talk(replica, leave)


@pytest.mark.parametrize("shapes", [SHAPES[:1], SHAPES[::-1], (SHAPES[0], VolumeShape(1, 512, CHUNK))])
def test_a_ticket_for_other_volumes_is_refused(
    replica: ReplicaWriter, shapes: tuple[VolumeShape, ...]
) -> None:
    with pytest.raises(TicketError, match="other volumes"):
        Talk(replica, ticket(shapes=shapes))


@pytest.mark.parametrize("message", [m.Complete(), m.DigestsRequest(0, 0, 1), m.Zero(1, 0, 0, 1)])
def test_nothing_goes_before_hello(message: m.Message) -> None:
    def refuse(_: m.Hello) -> Admission:
        raise AssertionError("nobody said Hello")

    with pytest.raises(RehostError, match="no ticket was shown"):
        Session(refuse, Buffers(1)).handle(message, 0.0)
