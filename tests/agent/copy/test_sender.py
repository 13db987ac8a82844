"""A stream against a real receiver whose connections break."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rehost.agent.copy.bandwidth import Limit
from rehost.agent.copy.gate import AbortedError, Gate
from rehost.agent.copy.sender import OUTSTANDING, Item, Stream
from rehost.agent.copy.tally import Tally
from rehost.block.volume import VolumeShape
from rehost.core import digest
from rehost.core.errors import ConnectionLostError, FreezeError, RunStoppedError, TicketError
from rehost.receive.admissions import CONNECTIONS
from rehost.wire.messages import VERSION, DigestsRequest, Encoding, Hello
from rehost.wire.tls import client_context, connect
from tests.agent.proxy import Proxy, proxy_to
from tests.receive.site import CHUNK, Site

CHUNKS = 100


class Bench:
    """A receiver behind a proxy, and streams to it."""

    def __init__(self, site: Site, proxy: Proxy) -> None:
        self.site, self.proxy = site, proxy
        self.stop = threading.Event()
        self.gate = Gate(self.stop)
        self.tally = Tally([0])
        self.content = [os.urandom(CHUNK) for _ in range(CHUNKS)]

    def stream(
        self, number: int = 0, patience: float = 60.0, ticket: str = "", share: int = OUTSTANDING
    ) -> Stream:
        context = client_context((self.site.data / "keys" / "server.crt").read_text())

        def dial():  # type: ignore[no-untyped-def]
            return connect("127.0.0.1", self.proxy.port, context, 10)

        hello = Hello(VERSION, ticket or self.site.ticket(), number)
        return Stream(hello, dial, Limit(0), self.tally, self.gate, patience, share)

    def item(self, chunk: int) -> Item:
        content = self.content[chunk]
        return Item(0, chunk, 1, CHUNK, CHUNK, digest.of(content), Encoding.RAW, content)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    site = Site(tmp_path, [VolumeShape(0, CHUNKS * CHUNK, CHUNK)])
    site.raise_generation(1)
    site.start()
    try:
        with proxy_to(site.port) as proxy:
            yield Bench(site, proxy)
    finally:
        site.stop()


def test_everything_put_is_durable_after_drain_however_often_the_connection_breaks(bench: Bench) -> None:
    bench.proxy.budgets = [50, 2 << 20, 700_000, 3 << 20, 300_000]
    stream = bench.stream()
    for chunk in range(CHUNKS):
        stream.put(bench.item(chunk))
    stream.drain()
    assert bench.tally.whole().done == CHUNKS * CHUNK
    assert bench.proxy.connections == 6
    assert bench.site.content(0) == b"".join(bench.content)
    assert len(stream.complete()) == 1


def test_questions_are_answered_in_order_across_a_cut(bench: Bench) -> None:
    stream = bench.stream()
    stream.put(Item(0, 0, CHUNKS, CHUNKS * CHUNK, 0))
    stream.put(bench.item(3))
    stream.drain()
    stream.ask(DigestsRequest(0, 3, 1))
    bench.proxy.cut()
    stream.ask(DigestsRequest(0, 4, 2))
    assert stream.answer() == digest.of(bench.content[3])
    assert stream.answer() == 2 * digest.of_zeroes(CHUNK)
    stream.reset()


def test_more_than_the_window_only_waits_for_acks(bench: Bench) -> None:
    stream = bench.stream()
    window = stream.connect().window
    assert window < CHUNKS * CHUNK
    for chunk in range(CHUNKS):
        stream.put(bench.item(chunk))
    stream.drain()
    stream.reset()


def test_a_strict_stream_raises_at_once_and_begins_anew_after_reset(bench: Bench) -> None:
    stream = bench.stream()
    stream.connect()
    stream.strict = True
    stream.put(bench.item(0))
    bench.proxy.cut()
    with pytest.raises(ConnectionLostError):
        stream.drain()
    stream.reset()
    stream.strict = False
    stream.ask(DigestsRequest(0, 1, 1))
    assert stream.answer() == digest.ABSENT
    stream.reset()


def test_a_strict_stream_lets_reading_go_on_while_the_window_is_full(bench: Bench) -> None:
    """Nothing is acknowledged, and more than the window is taken all the same, up to twice as much."""
    stream = bench.stream()
    window = stream.connect().window
    stream.strict = True
    bench.proxy.holding = True
    for chunk in range(window // CHUNK + 10):
        stream.put(bench.item(chunk))
    bench.proxy.holding = False
    stream.drain()
    stream.reset()


def test_a_stream_keeps_no_more_than_its_share_of_the_runs_memory(bench: Bench) -> None:
    share = 2 * CHUNK + 1000
    stream = bench.stream(share=share)
    assert stream.connect().window > share
    stream.strict = True
    bench.proxy.holding = True
    for chunk in range(4):  # one more than fits waits here
        stream.put(bench.item(chunk))
    assert 2 * CHUNK < bench.tally.whole().sent <= share
    bench.proxy.holding = False
    stream.drain()
    assert bench.tally.whole().done == 4 * CHUNK
    stream.reset()


def test_a_receiver_that_goes_mute_before_it_has_said_completed_is_left_for_another_connection(
    bench: Bench,
) -> None:
    stream = bench.stream()
    stream.silence = 1.0
    stream.put(Item(0, 0, CHUNKS, CHUNKS * CHUNK, 0))
    stream.drain()
    bench.proxy.holding = True  # the network takes what is said, and gives nothing back
    threading.Timer(1.5, bench.proxy.cut).start()  # the second connection's Welcome is lost, too
    assert len(stream.complete()) == 1
    assert bench.proxy.connections >= 2


def test_patience_ends(bench: Bench) -> None:
    bench.proxy.closed = True
    with pytest.raises(ConnectionLostError, match="could not be reached for"):
        bench.stream(patience=0.5).connect()


def test_a_refused_ticket_is_no_lost_connection(bench: Bench) -> None:
    with pytest.raises(TicketError):
        bench.stream(ticket=bench.site.ticket(key=bytes(32))).connect()
    assert bench.proxy.connections == 1


def test_a_stream_waits_for_its_turn_at_a_receiver_that_has_enough_others(bench: Bench) -> None:
    notes: list[str] = []
    with ExitStack() as others:
        for number in range(CONNECTIONS):
            others.enter_context(bench.site.sender(bench.site.ticket(run=f"r-other-{number}")))
        assert not bench.stream(number=1).join()
        threading.Timer(1.0, lambda: (notes.append(bench.tally.note), others.close())).start()
        stream = bench.stream(patience=0.1)  # such a wait is none for a receiver that is gone
        assert stream.connect().window
    assert bench.proxy.connections >= 3
    assert notes[0].startswith(f"the receiver has {CONNECTIONS} connections")
    assert bench.tally.note == ""
    stream.reset()


def test_the_gate_ends_every_wait(bench: Bench) -> None:
    bench.proxy.closed = True
    bench.gate.abort()
    with pytest.raises(AbortedError):
        bench.stream().connect()
    bench.gate.reopen()
    bench.gate.freeze(0.3)
    with pytest.raises(FreezeError, match="deadline"):
        bench.stream().connect()
    bench.gate.reopen()
    threading.Timer(0.3, bench.stop.set).start()
    with pytest.raises(RunStoppedError):
        bench.stream().connect()
