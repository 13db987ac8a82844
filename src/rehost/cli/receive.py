"""`rehost receive`: the data plane as a process of its own; `rehost serve` starts and watches one."""

import argparse
from pathlib import Path

from rehost.receive.main import main as serve_data_plane

DEFAULT_LISTEN = "0.0.0.0:7443"


def receive(
    data: Path,
    listen: str = DEFAULT_LISTEN,
    parent: int | None = None,
    volumes: Path | None = None,
    bandwidth: int = 0,
) -> None:
    """Serve until SIGTERM, or until the process `parent` ends. `volumes`: the folder of replicas/, if it is
    not the data folder. `bandwidth`: KB/s that all runs share, 0 for no limit."""
    serve_data_plane(data, listen, parent, volumes, bandwidth)


def command(data: Path, listen: str, parent: int, volumes: Path, bandwidth: int = 0) -> list[str]:
    """The arguments after the interpreter that start this as a child."""
    places = ["--data", str(data), "--volumes", str(volumes), "--bandwidth", str(bandwidth)]
    return ["-m", __name__, *places, "--listen", listen, "--parent", str(parent)]


def _main() -> None:
    parser = argparse.ArgumentParser(prog="rehost receive")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--listen", default=DEFAULT_LISTEN)
    parser.add_argument("--parent", type=int)
    parser.add_argument("--volumes", type=Path)
    parser.add_argument("--bandwidth", type=int, default=0, help="KB/s that all runs share, 0 for no limit")
    arguments = parser.parse_args()
    receive(arguments.data, arguments.listen, arguments.parent, arguments.volumes, arguments.bandwidth)


if __name__ == "__main__":
    _main()
