"""What a link's arithmetic does to packets."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from tests.netlab.shape import Pipe, Shape

PACKETS = st.lists(st.tuples(st.floats(0, 0.01), st.integers(60, 65_000)), max_size=60)


def passed(shape: Shape, packets: list[tuple[float, int]]) -> list[tuple[float, float, int]]:
    """(sent, arrived, size) of what arrives, by going from event to event."""
    pipe, now, sent = Pipe(shape, random.Random(1).random), 0.0, []
    for number, (pause, size) in enumerate(packets):
        now += pause
        sent.append((now, size))
        pipe.offer(number.to_bytes(4, "big"), size, now)
    arrived = []
    while (at := pipe.next_at) is not None:
        arrived += [(int.from_bytes(packet, "big"), at) for packet in pipe.due(at)]
    return [(sent[number][0], at, sent[number][1]) for number, at in arrived]


@given(PACKETS)
def test_packets_arrive_in_order_and_no_sooner_than_the_delay(packets: list[tuple[float, int]]) -> None:
    found = passed(Shape(1e6, 0.02), packets)
    assert [sent for sent, _, _ in found] == sorted(sent for sent, _, _ in found)
    assert all(at >= sent + 0.02 for sent, at, _ in found)


@given(PACKETS)
def test_the_rate_is_never_exceeded(packets: list[tuple[float, int]]) -> None:
    found = passed(Shape(1e6), packets)
    for (_, one, _), (_, other, size) in itertools.pairwise(found):
        assert other - one >= size / 1e6 - 1e-9


@given(PACKETS)
def test_without_a_shape_everything_arrives_at_once(packets: list[tuple[float, int]]) -> None:
    found = passed(Shape(), packets)
    assert len(found) == len(packets)
    assert all(sent == at for sent, at, _ in found)


def test_a_queue_that_is_full_drops() -> None:
    found = passed(Shape(1e6), [(0.0, 1000)] * 2000)
    assert 512 <= len(found) <= 530


def test_the_share_that_is_asked_for_is_lost() -> None:
    found = passed(Shape(loss=0.25), [(0.0, 1000)] * 4000)
    assert 0.7 < len(found) / 4000 < 0.8


def test_a_black_hole_takes_what_is_under_way_too() -> None:
    pipe = Pipe(Shape(delay=0.02), random.random)
    pipe.offer(b"one", 100, 0.0)
    pipe.shape = Shape(black_hole=True)
    pipe.offer(b"two", 100, 0.01)
    assert pipe.due(1.0) == []
    assert pipe.next_at is None
