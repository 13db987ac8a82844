from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehost.core.agentapi import Register
from rehost.core.server import BootMode, Disk, Inventory
from rehost.store.serverrow import SourceServer
from rehost.store.store import Store

INVENTORY = Inventory(
    hostname="web1",
    platform="Debian",
    architecture="x86_64",
    kernel="6.1.0",
    boot_mode=BootMode.BIOS,
    cores=2,
    memory=4 << 30,
    disks=(Disk(0, "/dev/sda", 8 << 30), Disk(1, "/dev/sdb", 1 << 30)),
)


class Clock:
    """The time of the store, which tests move."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(records: Path | str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(records, bytes(32), clock)
    yield opened
    opened.close()


@pytest.fixture
def register(store: Store) -> Callable[..., SourceServer]:
    """Registers a source server whose secret is the given letter, 64 times."""

    def act(letter: str = "a", account: str = "one") -> SourceServer:
        _, code = store.codes.create(account, "test")
        return store.servers.register(Register(code, letter * 64, INVENTORY, "0.1"))

    return act
