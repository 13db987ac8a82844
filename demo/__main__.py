"""`make demo`: a server at work is moved into an image that boots, and every claim of it is checked.

Everything lies in .cache/demo of the checkout; what is expensive to make is kept for the next time in .cache.
"""

import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console

from demo import evidence, report, source_machine
from demo.control_plane import ControlPlane
from demo.migration import Migration
from demo.phases import Phases
from demo.source_server import CONTROL_PLANE, SourceServer
from rehost.cli import datafolder
from rehost.compute.local import LocalDriver
from rehost.compute.local.bootcheck import evidence_of
from rehost.convert import helper_build, packages
from rehost.core.agentapi import RunReport
from rehost.core.errors import RehostError
from rehost.machine import accel

CHECKOUT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("REHOST_CACHE", CHECKOUT / ".cache")).resolve()
FOLDER = CACHE / "demo"


def main() -> int:
    # Not on a terminal there is no width to keep to: lines stay whole for whoever searches them.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    phases = Phases(console)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, as by Ctrl-C
    try:
        with _alone():
            outcome = _demonstrate(phases)
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running", style="yellow")
        return 130
    except Exception as error:
        console.print(f"\nthe demo failed: {error}", style="red", markup=False)
        console.print(f"look at serve.log, source-console.log, data/logs and data/images in {FOLDER}")
        if not isinstance(error, RehostError):
            raise
        return 1
    report.show(console, phases, outcome)
    return 0


def _demonstrate(phases: Phases) -> report.Outcome:
    accelerator = accel.choose(CACHE)
    kind = "KVM" if accelerator == accel.KVM else "software emulation"
    phases.console.print(f"virtual machines run on {kind}; everything is kept in {FOLDER}")
    with _builders() as pool:
        helper = pool.submit(_prepare_helper)
        disks = pool.submit(source_machine.build, CACHE)
        with phases.phase("start the control plane (rehost serve)"):
            plane = ControlPlane(FOLDER / "data", CACHE, FOLDER / "serve.log")
        with plane:
            with phases.phase("build the source machine's disks (kept)"):
                source = disks.result()
            with SourceServer(source, FOLDER, plane.ports, accelerator) as server:
                return _migrate(phases, plane, server, helper)


def _migrate(
    phases: Phases, plane: ControlPlane, server: SourceServer, helper: "Future[None]"
) -> report.Outcome:
    with phases.phase("boot the source machine (Debian on SATA and IDE disks)"):
        server.wait_for_login()
    line = plane.activation_line(CONTROL_PLANE)
    phases.console.print(f"       on the source, as root:  {line}", markup=False)
    migration = Migration(plane.first_access_key)
    with phases.phase("install the agent on it, by that line"):
        server.run(line, timeout=300)
        source_id = migration.wait_for_source()
    boot = server.boot_id()
    with phases.phase("build the helper VM (kept)"):
        helper.result()
    job = migration.create_job(source_id, {"boot_check_command": evidence.COMMAND})
    migration.start_job(job)
    with phases.job() as look:
        done = migration.watch(job, look)
    image = LocalDriver(plane.data).image(done["ImageId"])
    run, boot_evidence = _run_report(plane.data, job), evidence_of(image)
    if boot_evidence is None:
        raise RehostError(f"{image.id} has no evidence of a boot", f"see {image.folder}")
    with phases.phase("hold the image's records against the source's"):
        output = image.boot_folder / "output.txt"
        proof = evidence.check(server, boot, output, run.held_seconds, FOLDER)
    sizes = sum(disk.source_size for disk in image.disks)
    return report.Outcome(plane.data, image, run, boot_evidence, proof, sizes, job)


@contextmanager
def _alone() -> Iterator[None]:
    """Each demo begins with a folder of its own; the last one's images go with theirs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RehostError(f"another demo uses {FOLDER}", "wait for its end, or stop it") from None
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        yield


@contextmanager
def _builders() -> Iterator[ThreadPoolExecutor]:
    """Threads that build what is kept. When the demo ends early, so do the programs that they wait for."""
    with ThreadPoolExecutor(2) as pool:
        try:
            yield pool
        except BaseException:
            for thread in Path("/proc/self/task").iterdir():
                for child in (thread / "children").read_text().split():
                    os.kill(int(child), signal.SIGTERM)
            raise


def _prepare_helper() -> None:
    """What the conversion will need: meanwhile, since copying leaves the processors idle."""
    helper_build.get(CACHE)
    packages.guest_agent("bookworm", CACHE)


def _run_report(data: Path, job: str) -> RunReport:
    with closing(datafolder.open_store(data)) as store:
        result = store.runs.of_jobs([job])[job][-1].result
    if result is None or result.report is None:
        raise RehostError(f"the run of {job} has no report")
    return result.report


if __name__ == "__main__":
    sys.exit(main())
