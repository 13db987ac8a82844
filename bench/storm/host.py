"""A host as a process: `python -m bench.storm.host DATA NAME ADDRESS BALANCER DATABASE VOLUMES KIND`.

`rehost serve` or `rehost worker` but for virtual machines: two cores emulate none while a storm rages. In the
place of a conversion and of a boot check the process waits, so that there is time to be killed in.
"""

import sys
import time
from pathlib import Path

from rehost.cli import working
from rehost.cli.serve import ServeConfig, serve
from rehost.compute.driver import Driver
from rehost.flow.ports import Converter
from rehost.store.hosts import HostKind
from tests.cli.serving import StandingConverter, StandingDriver

API_PORT, DATA_PORT = 8443, 7443
READY = "ready"  # what it says once it listens
_TAKES = {"convert": 3.0, "boot_check": 2.0}  # seconds


def _machinery(config: ServeConfig, volumes: Path) -> tuple[Driver, Converter]:
    def stand(point: str) -> None:
        time.sleep(_TAKES.get(point, 0.0))

    return StandingDriver(config.data, volumes, stand), StandingConverter(config.data, stand)


def main(data: str, name: str, address: str, balancer: str, database: str, volumes: str, kind: str) -> None:
    is_server = kind == HostKind.SERVER
    config = ServeConfig(
        Path(data),
        f"{address}:{API_PORT}" if is_server else "",
        f"{address}:{DATA_PORT}",
        (address, balancer),
        database,
        Path(volumes),
        name,
    )
    if is_server:
        serve(config, lambda _: print(READY, flush=True), _machinery)
    else:
        working.run(config, lambda _: print(READY, flush=True), _machinery)


if __name__ == "__main__":
    main(*sys.argv[1:])
