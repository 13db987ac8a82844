"""Memory for the large batches of all connections of a receiver: more connections hardly need more of it."""

import queue

from rehost.block.linux import aligned_buffer
from rehost.receive.batch import FULL
from rehost.wire.messages import MAX_CHUNK

BUFFERS = 4  # large batches that are under way at once; of one replica only one is written at a time anyway


class Buffers:
    """Whoever finds none waits until another batch is durable, and so does the agent that sends.

    The one that came back last is given next: what is never needed is never touched.
    """

    def __init__(self, count: int = BUFFERS) -> None:
        self._free: queue.LifoQueue[memoryview] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(aligned_buffer(FULL + MAX_CHUNK))

    def take(self) -> memoryview:
        return self._free.get()

    def give_back(self, buffer: memoryview) -> None:
        self._free.put(buffer)
