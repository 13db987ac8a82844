import asyncio
import threading
from collections.abc import Mapping

import pytest

from rehost.api.heartbeats import Heartbeats
from rehost.core.agentapi import Heartbeat
from rehost.core.errors import DatabaseUnavailableError, InvalidValueError
from tests.api.world import INVENTORY


def decode(body: bytes) -> Heartbeat:
    if body == b"bad":
        raise InvalidValueError("no heartbeat")
    return Heartbeat(INVENTORY, body.decode(), "0.1")


class Records:
    """What was written, transaction by transaction; `hold` keeps a write from ending."""

    def __init__(self) -> None:
        self.written: list[dict[str, str | None]] = []
        self.gone: frozenset[str] = frozenset()
        self.failure: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, beats: Mapping[str, Heartbeat | None]) -> frozenset[str]:
        self.written.append({key: None if beat is None else beat.system_info for key, beat in beats.items()})
        assert self.go_on.wait(30)
        if self.failure is not None:
            raise self.failure
        return self.gone & frozenset(beats)


def test_a_lone_one_is_written_at_once_and_an_equal_one_changes_the_time_only() -> None:
    async def act() -> None:
        heartbeats = Heartbeats(records.write, pause=0)
        for body in (b"a", b"a", b"b", b"a"):
            assert await heartbeats.take("s-1", body, decode)

    records = Records()
    asyncio.run(act())
    assert records.written == [{"s-1": "a"}, {"s-1": None}, {"s-1": "b"}, {"s-1": "a"}]


def test_those_that_come_meanwhile_are_written_together() -> None:
    async def act() -> list[bool]:
        heartbeats = Heartbeats(records.write, pause=0)
        first = asyncio.create_task(heartbeats.take("s-0", b"x", decode))
        while not records.written:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(heartbeats.take(f"s-{n}", b"x", decode)) for n in range(1, 50)]
        await asyncio.sleep(0)
        records.go_on.set()
        return list(await asyncio.gather(first, *others))

    records = Records()
    records.go_on.clear()
    assert asyncio.run(act()) == [True] * 50
    assert [len(beats) for beats in records.written] == [1, 49]


def test_what_changes_back_while_it_is_written_is_written_again() -> None:
    async def act() -> None:
        heartbeats = Heartbeats(records.write, pause=0)
        await heartbeats.take("s-1", b"a", decode)
        records.go_on.clear()
        changed = asyncio.create_task(heartbeats.take("s-1", b"b", decode))
        while len(records.written) < 2:
            await asyncio.sleep(0.01)
        back = asyncio.create_task(heartbeats.take("s-1", b"a", decode))
        await asyncio.sleep(0)
        records.go_on.set()
        await asyncio.gather(changed, back)

    records = Records()
    asyncio.run(act())
    assert records.written == [{"s-1": "a"}, {"s-1": "b"}, {"s-1": "a"}]


def test_of_a_source_that_is_gone_nothing_is_kept() -> None:
    async def act() -> None:
        heartbeats = Heartbeats(records.write, pause=0)
        assert not await heartbeats.take("s-1", b"a", decode)
        records.gone = frozenset()
        assert await heartbeats.take("s-1", b"a", decode)

    records = Records()
    records.gone = frozenset({"s-1"})
    asyncio.run(act())
    assert records.written == [{"s-1": "a"}, {"s-1": "a"}]


def test_a_failure_is_told_to_each_and_nothing_counts_as_written() -> None:
    async def act() -> None:
        heartbeats = Heartbeats(records.write, pause=0)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError):
                await heartbeats.take("s-1", b"a", decode)
        records.failure = None
        assert await heartbeats.take("s-1", b"a", decode)

    records = Records()
    records.failure = DatabaseUnavailableError("away", "try again")
    asyncio.run(act())
    assert records.written == [{"s-1": "a"}] * 3


def test_what_is_no_heartbeat_is_refused_for_itself_alone() -> None:
    async def act() -> None:
        heartbeats = Heartbeats(records.write, pause=0)
        for _ in range(2):
            with pytest.raises(InvalidValueError):
                await heartbeats.take("s-1", b"bad", decode)

    records = Records()
    asyncio.run(act())
    assert records.written == []
