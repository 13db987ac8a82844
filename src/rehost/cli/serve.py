"""`rehost serve`: what it takes and what it says of itself. `wiring` does it, and loads all that it needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rehost.cli import datafolder
from rehost.cli.receive import DEFAULT_LISTEN as RECEIVE_LISTEN
from rehost.store.hosts import TTL

if TYPE_CHECKING:
    from rehost.cli.hosting import Machinery

DEFAULT_LISTEN = "0.0.0.0:8443"
ANNOUNCEMENT = "serve.json"


@dataclass(frozen=True, slots=True)
class ServeConfig:
    data: Path = datafolder.DEFAULT
    listen: str = DEFAULT_LISTEN
    receive_listen: str = RECEIVE_LISTEN
    addresses: Sequence[str] = ()  # names and addresses that others reach it by; the first one is announced
    database: str = ""  # URL; empty: as at the last start, at first SQLite in the folder
    volumes: Path | None = None  # for replicas and images; None: as at the last start, at first the folder
    name: str = ""  # of this host among others; empty: its hostname
    helper_cache: Path | None = None  # for what takes long to make; None: cache/ in the data folder
    resync_after: float = 0.0  # minutes until runs of a host that is away begin anew; 0: when somebody asks
    lease: float = TTL  # seconds without a sign of life after which others take this host for dead


@dataclass(frozen=True, slots=True)
class Serving:
    """What a started control plane says of itself; also in serve.json while it runs."""

    endpoint: str  # https://HOST:PORT of the API
    port: int
    receiver_port: int
    pid: int
    ca_file: str
    pin: str  # of the server's key, for curl
    first_key_file: str  # empty: its owner has removed it


Ready = Callable[[Serving], None]


def serve(
    config: ServeConfig, ready: Ready = lambda serving: None, machinery: "Machinery | None" = None
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once everything listens. From the main thread only.

    `machinery` makes the driver and the converter; without it they are this host's own.
    DataFolderError when the folder is served already or cannot be used, or a port is taken;
    InvalidValueError for a bad `listen`.
    """
    from rehost.cli import wiring  # other commands read this module's names, and need not wait for all that

    wiring.run(config, ready, machinery or wiring.local_machinery)
