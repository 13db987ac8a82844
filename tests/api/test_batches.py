import asyncio
import threading
from collections.abc import Mapping

import pytest

from rehost.api.batches import LONGEST, PAUSE, SHARE, Batches, pause_after


class Records:
    """What was written, transaction by transaction; `hold` keeps a write from ending."""

    def __init__(self) -> None:
        self.written: list[dict[str, int | None]] = []
        self.hold = threading.Event()
        self.hold.set()

    def write(self, words: Mapping[str, int | None]) -> frozenset[str]:
        self.written.append(dict(words))
        assert self.hold.wait(30)
        return frozenset(words)


def test_of_each_the_newest_word_is_written_and_nothing_new_takes_no_place() -> None:
    async def act() -> list[frozenset[str]]:
        batches = Batches(records.write, pause=0)
        records.hold.clear()
        first = asyncio.create_task(batches.put("a", 1))
        while not records.written:
            await asyncio.sleep(0.01)
        later = [
            asyncio.create_task(batches.put(*word)) for word in (("a", 2), ("a", 3), ("a", None), ("b", None))
        ]
        await asyncio.sleep(0)
        records.hold.set()
        return list(await asyncio.gather(first, *later))

    records = Records()
    heard = asyncio.run(act())
    assert records.written == [{"a": 1}, {"a": 3, "b": None}]
    assert heard == [frozenset("a")] + [frozenset("ab")] * 4


@pytest.mark.parametrize(
    ("took", "pause"), [(0.0, PAUSE), (0.01, PAUSE), (0.1, 0.1 * (1 / SHARE - 1)), (60.0, LONGEST)]
)
def test_writing_takes_a_share_of_the_time_only(took: float, pause: float) -> None:
    assert pause_after(took, PAUSE, SHARE) == pytest.approx(pause)
