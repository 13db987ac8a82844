"""What every host does, with or without the API: it has volumes, receives copies, carries runs out.

Everything is made here, handed to each other, and closed by the caller's stack.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rehost import __version__
from rehost.api import gateway, limits
from rehost.api.limits import Limits
from rehost.block.room import room_at
from rehost.cli import datafolder, logs
from rehost.cli.door import SAME_HOST, LocalDoor
from rehost.cli.keyring import Keyring
from rehost.cli.receiver_child import ReceiverChild
from rehost.cli.serve import ServeConfig
from rehost.cli.storage import Storage
from rehost.compute.driver import Driver
from rehost.flow.dbos_engine import DbosEngine
from rehost.flow.lease import Lease
from rehost.flow.ports import Converter
from rehost.flow.run import NAME, RunWorkflow
from rehost.flow.steps import Steps
from rehost.flow.takeover import Takeover
from rehost.flow.upkeep import Upkeep
from rehost.store import postgresql
from rehost.store.hosts import HostKind, Presence
from rehost.store.store import Store

Machinery = Callable[[ServeConfig, Path], tuple[Driver, Converter]]
"""The driver and the converter for the folder of the volumes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hosting:
    """A host that works."""

    presence: Presence
    limits: Limits
    store: Store
    driver: Driver
    receiver: ReceiverChild
    engine: DbosEngine
    upkeep: Upkeep
    stopping: threading.Event  # to be set when the process is about to end


def begin(
    config: ServeConfig,
    kind: HostKind,
    keys: Keyring,
    storage: Storage,
    machinery: Machinery,
    stack: ExitStack,
) -> Hosting:
    """Join the other hosts, and go on with what this one has not finished. HostError, DataFolderError."""
    records = datafolder.records(config.data, config.database)
    store = _open(config, records, keys, stack)
    known = limits.load(config.data / limits.FILE, gateway.action_names())
    store.audit.kept_days = known.audit_days
    store.room.limits = known.running_jobs
    receiver = ReceiverChild(config.data, config.receive_listen, storage.path, known.worker_bandwidth)
    receiver.start()
    stack.callback(receiver.close)
    presence = _presence(config, kind, keys, storage, receiver, several=isinstance(records, str))
    room = partial(_room, storage.path)
    lease = Lease(store, presence, lambda: receiver.port, room, _end_this_process, config.lease)
    stack.callback(lease.close)
    lease.start()
    door = LocalDoor(keys.ticket_key(), lambda: receiver.port, presence.receiver_host)
    driver, converter = machinery(config, storage.path)
    stopping = threading.Event()
    steps = Steps(store, driver, converter, door, stopping.is_set)
    workflows = {NAME: RunWorkflow(steps)}
    engine = DbosEngine(datafolder.engine_records(config.data, records), workflows, host=presence.id)
    stack.callback(engine.close)
    stack.callback(stopping.set)
    upkeep = Upkeep(store, engine, driver, door, presence.id, lambda: store.hosts.leads(presence.id))
    upkeep.adopt()
    upkeep.start()
    stack.callback(upkeep.close)
    takeover = Takeover(
        store, engine, presence.id, storage.name, lambda: lease.steady, config.resync_after * 60.0
    )
    takeover.start()
    stack.callback(takeover.close)
    return Hosting(presence, known, store, driver, receiver, engine, upkeep, stopping)


def end(hosting: Hosting) -> None:
    """The last thing, when everything is closed. A step cannot be interrupted, and a process waits for its
    threads. Nothing is lost: what it had not finished is done again at the next start, as after any other
    sudden end."""
    if hosting.engine.busy:
        logging.shutdown()
        os._exit(0)


@contextmanager
def signals(act: Callable[..., object]) -> Iterator[None]:
    """SIGTERM and SIGINT end the service. The HTTP server takes them over while it runs, and raises them
    again when it is done: without a handler here they would end the process before it has cleaned up."""
    before = {number: signal.signal(number, act) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def folder(config: ServeConfig) -> Iterator[Storage]:
    """The data folder, held alone, with its log; where the volumes lie."""
    datafolder.check_servable(config.data)
    with datafolder.served(config.data, config.volumes) as storage:
        logs.configure(config.data / "logs")
        yield storage


def _open(config: ServeConfig, records: Path | str, keys: Keyring, stack: ExitStack) -> Store:
    if isinstance(records, str):
        stack.enter_context(postgresql.shared(records))
    datafolder.prepare(config.data, records)
    store = Store.open(records, keys.secrets_keys)
    stack.callback(store.close)
    return store


def _presence(
    config: ServeConfig,
    kind: HostKind,
    keys: Keyring,
    storage: Storage,
    receiver: ReceiverChild,
    *,
    several: bool,
) -> Presence:
    """`several`: there may be other hosts, and an agent may reach another one's API than its receiver's."""
    return Presence(
        id=datafolder.host_id(config.data),
        name=config.name or socket.gethostname(),
        kind=kind,
        receiver_host=config.addresses[0] if several and config.addresses else SAME_HOST,
        receiver_port=receiver.port or 0,
        free=_room(storage.path),
        version=__version__,
        volumes=storage.name,
        keys=keys.digest(),
    )


def _room(path: Path) -> int:
    return room_at(path / "replicas").left


def _end_this_process() -> None:
    _log.error("another process has this host's place, or the host was forgotten; this one ends")
    os.kill(os.getpid(), signal.SIGTERM)
