"""As many connections as a receiver's memory is for, and what they take when all of them send."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from rehost.block.volume import VolumeShape
from rehost.core.errors import ReceiverBusyError
from rehost.receive.admissions import CONNECTIONS, FOR_FIRST
from rehost.receive.buffers import BUFFERS
from tests.agent.agent_process import peak_memory
from tests.receive.site import CHUNK, Sender, Site

MIB = 1 << 20
EACH = 16  # chunks that each connection sends
SHAPES = (VolumeShape(0, CONNECTIONS * EACH * MIB, MIB), VolumeShape(1, 40 * CHUNK, CHUNK))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, SHAPES)
    made.raise_generation(1)
    made.start()
    yield made
    made.stop()


def test_further_streams_leave_room_for_the_first_ones_of_other_runs(site: Site) -> None:
    further = CONNECTIONS - FOR_FIRST
    with ExitStack() as stack:
        for stream in range(further):
            stack.enter_context(site.sender(stream=stream))
        with pytest.raises(ReceiverBusyError, match=f"has {further} connections, as many as it takes"):
            stack.enter_context(site.sender(stream=further))
        for run in range(FOR_FIRST):
            stack.enter_context(site.sender(site.ticket(run=f"r-other-{run}")))
        with pytest.raises(ReceiverBusyError):
            stack.enter_context(site.sender(site.ticket(run="r-late")))
        assert stack.enter_context(site.sender(stream=3)).welcome  # in the place of the older one
    assert joined(site, further)


def joined(site: Site, stream: int) -> bool:
    """Whether it is let in within a while: connections end a moment after their peers."""
    for _ in range(100):
        try:
            with site.sender(stream=stream):
                return True
        except ReceiverBusyError:
            time.sleep(0.1)
    return False


def test_memory_is_bounded_when_all_connections_send(site: Site) -> None:
    content = os.urandom(MIB)

    def send(number: int, sender: Sender) -> None:
        for chunk in range(number * EACH, (number + 1) * EACH):
            last = sender.send(0, chunk, chunk.to_bytes(8, "big") + content[8:])
        sender.wait_acked(last)

    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
        runs = [site.ticket(run=f"r-{number}") for number in range(CONNECTIONS)]
        senders = [stack.enter_context(site.sender(run)) for run in runs]
        list(pool.map(send, range(CONNECTIONS), senders))
        assert site.process is not None
        peak = peak_memory(str(site.process.pid))
    with site.data_file(0).open("rb") as file:
        for chunk in range(CONNECTIONS * EACH):
            assert file.read(MIB) == chunk.to_bytes(8, "big") + content[8:]
    print(f"peak memory of the receiver: {peak >> 20} MiB")
    assert peak <= 150 * MIB


def test_memory_that_was_lent_to_connections_that_broke_is_lent_again(site: Site) -> None:
    content = [os.urandom(CHUNK) for _ in range(40)]
    for _ in range(BUFFERS + 2):
        with site.sender() as sender:
            for chunk in range(20):  # more than fits into a connection's own buffer
                sender.send(1, chunk, content[chunk])
    with site.sender() as sender:
        for chunk in range(40):
            last = sender.send(1, chunk, content[chunk])
        sender.wait_acked(last)
    assert site.content(1) == b"".join(content)
