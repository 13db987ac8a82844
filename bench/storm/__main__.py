"""Many hosts while everything dies: three servers, four workers, a database, twelve sources.

    python -m bench.storm [--minutes N] [--seed N] [--sources N] [--folder DIR] [--out DIR]

Each is in a network namespace of its own. Every few seconds one is killed, stopped for longer than its lease,
or crashed, by chance; all the time copies of all sources are made. In the end everything has to be finished,
every image is compared with its source, and nothing may be left over. Needs root, PostgreSQL and HAProxy, and
a few GiB in `--folder`. Writes storm.json, storm.md, storm.svg and storm.png into `--out`; the exit code is 1
if anything is not as it has to be.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.storm import plot, summary
from bench.storm.raging import rage


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="rehost-storm-") as folder:
        record = rage(Path(folder), arguments.seed, arguments.minutes * 60, arguments.sources)
        wrong = summary.wrong(record)
        if arguments.keep_logs:
            _keep_logs(Path(folder), arguments.out)
    (arguments.out / "storm.json").write_bytes(msgspec.json.encode(record))
    (arguments.out / "storm.md").write_text(summary.markdown(record))
    plot.save(record, arguments.out)
    print(summary.markdown(record))
    print("\n".join(wrong))
    return 1 if wrong else 0


def _keep_logs(folder: Path, out: Path) -> None:
    for path in [*folder.rglob("*.log"), *folder.rglob("logs/*")]:
        target = out / "logs" / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.storm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="of strikes (20)")
    parser.add_argument("--seed", type=int, default=1, help="of chance (1)")
    parser.add_argument("--sources", type=int, default=12, help="servers that are copied (12)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    parser.add_argument("--keep-logs", action="store_true", help="into OUT/logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
