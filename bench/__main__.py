"""Measures rehost, and others at the same work; `docs/benchmarks.md` says what and why.

    python -m bench [PART ...] [--size GIB] [--rounds N] [--quick] [--folder DIR] [--out DIR]
                           [--sources N] [--jobs N] [--steps N] [--serves N] [--seconds S]

Needs root (loop devices, network namespaces), and about five times `--size` of room in `--folder`.
Writes results.md, results.json, plot.svg and plot.png into `--out`. Results of other parts that are there
already stay, so that one part can be measured anew.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench import plot, report
from bench.parts import api, fleet, full, incremental, overhead, scale
from bench.plan import Plan
from bench.result import Result

PARTS: dict[str, Callable[[Plan], Result]] = {
    "copy": full.on_loopback,
    "gigabit": full.over_gigabit,
    "slow": full.over_slow_link,
    "incremental": incremental.one_percent,
    "growth": incremental.growth,
    "tracking": overhead.tracking,
    "api": api.compared,
    "rows": api.growth,
    "fleet": fleet.connected,
    "scale": scale.many_jobs,
}


def main() -> None:
    signal.signal(signal.SIGTERM, _interrupted)
    arguments = _arguments()
    size = arguments.size or (1.0 if arguments.quick else 8.0)
    plan = Plan(
        arguments.folder, size, arguments.rounds or (1 if arguments.quick else 3), arguments.quick,
        *_scale(arguments),
    )  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    known = arguments.out / "results.json"
    results = {one.part: one for one in (report.from_json(known.read_bytes()) if known.exists() else ())}
    parts = arguments.parts or list(PARTS)
    for name in parts:
        print(f"{name}:", flush=True)
        results[name] = PARTS[name](plan)
        # After each part, so that an interrupted bench leaves something.
        _write([results[part] for part in PARTS if part in results], arguments.out)
    print(report.markdown([results[name] for name in parts]))


def _interrupted(number: int, _: FrameType | None) -> NoReturn:
    """As by Ctrl-C: disks, mounts, namespaces, trackers and processes are cleared away on the way out."""
    sys.exit(128 + number)


def _write(results: list[Result], out: Path) -> None:
    (out / "results.md").write_text(report.markdown(results))
    (out / "results.json").write_bytes(report.as_json(results))
    plot.save(results, out)


def _scale(arguments: argparse.Namespace) -> tuple[int, int, float, int, int]:
    usual = (1000, 200, 10.0) if arguments.quick else (10_000, 2000, 30.0)
    given = (arguments.sources, arguments.jobs, arguments.seconds)
    sizes = (given[0] or usual[0], given[1] or usual[1], given[2] or usual[2])
    return (*sizes, arguments.steps, arguments.serves)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*PARTS, []], help=", ".join(PARTS))
    parser.add_argument("--size", type=float, help="GiB of the disk that is copied on loopback (8)")
    parser.add_argument(
        "--rounds", type=int, help="of incremental runs; of full copies one less, over links two (3)"
    )
    parser.add_argument("--quick", action="store_true", help="a small disk, one round: under four minutes")
    parser.add_argument("--sources", type=int, help="of scale (10,000)")
    parser.add_argument("--jobs", type=int, help="of scale, that run at once at its end (2,000)")
    parser.add_argument(
        "--steps", type=int, default=3, help="of scale, each with twice the jobs of the one before (3)"
    )
    parser.add_argument("--serves", type=int, default=1, help="of scale: `rehost serve` on one database (1)")
    parser.add_argument("--seconds", type=float, help="of scale, of each measurement (30)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
