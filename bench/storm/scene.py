"""Where a storm rages: servers behind a balancer, workers, a database, sources; each in a namespace."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.storm.balancer import balancer
from bench.storm.blows import Blow, Role
from bench.storm.host import API_PORT
from bench.storm.network import Network, network
from bench.storm.source import Source, source
from bench.storm.units import AgentUnit, DatabaseUnit, Host
from rehost.cli import datafolder
from rehost.store.store import Store
from tests.cli.hosts import SHARED_KEYS
from tests.netlab.link import Namespace
from tests.postgresql import cluster

SERVERS, WORKERS = 3, 4
_DATABASE = "storm"


@dataclass(frozen=True, slots=True)
class Scene:
    folder: Path
    endpoint: str  # of the balancer
    database: DatabaseUnit
    hosts: tuple[Host, ...]  # the first one is a server, and starts first: the others have its keys
    sources: tuple[Source, ...]
    spaces: tuple[Namespace, ...]  # of hosts and sources

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"

    @property
    def first(self) -> Path:
        """The data folder of the first server."""
        return self.hosts[0].data

    @property
    def agents(self) -> tuple[AgentUnit, ...]:
        return tuple(AgentUnit(each.name, each.agent) for each in self.sources)

    def store(self) -> "closing[Store]":
        return closing(datafolder.open_store(self.first))

    def give_keys(self) -> None:
        for host in self.hosts[1:]:
            (host.data / "keys").mkdir(parents=True)
            for key in SHARED_KEYS:
                shutil.copy(self.first / "keys" / key, host.data / "keys" / key)

    def register(self) -> None:
        """Each source, through the balancer."""
        for each in self.sources:
            with self.store() as store:
                _, code = store.codes.create("default", "storm")
            done = each.agent.register(self.endpoint, self.first / "keys/ca.crt", code)
            assert done.returncode == 0, done.stderr


@contextmanager
def scene(folder: Path, sources: int) -> Iterator[Scene]:
    """The database and the writers are at work; hosts and agents are to be started. On leaving, whatever
    still runs is killed."""
    with ExitStack() as stack:
        net = stack.enter_context(network())
        place = net.host("database")
        made = stack.enter_context(cluster(address=place.address, prefix=place.command()))
        url = made.make(empty=True)
        at_balancer = net.host("balancer")
        hosts = tuple(_hosts(net, folder, at_balancer, url))
        for host in hosts:
            stack.callback(_kill, host)
        servers = [host.space for host in hosts if host.role is Role.SERVER]
        endpoint = stack.enter_context(balancer(at_balancer, folder, servers, API_PORT))
        named = [f"source-{number:02d}" for number in range(1, sources + 1)]
        spaces = [net.host(name) for name in named]
        found = [
            stack.enter_context(source(name, folder / name, space))
            for name, space in zip(named, spaces, strict=True)
        ]
        for each in found:
            stack.callback(each.agent.close)
        yield Scene(
            folder, endpoint, DatabaseUnit(made), hosts, tuple(found),
            (*(host.space for host in hosts), *spaces),
        )  # fmt: skip


def _hosts(net: Network, folder: Path, at_balancer: Namespace, url: str) -> Iterator[Host]:
    roles = [Role.SERVER] * SERVERS + [Role.WORKER] * WORKERS
    for number, role in enumerate(roles):
        name = f"{role}-{number + 1 - (SERVERS if role is Role.WORKER else 0)}"
        words = (at_balancer.address, url, str(folder / "volumes"))
        yield Host(role, net.host(name), folder / name, *words)


def _kill(host: Host) -> None:
    """All of it: what stands still would not hear of its parent's end."""
    if host.process is not None:
        host.strike(Blow.HOST)
