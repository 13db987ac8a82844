"""Many jobs at once: what runs that copy cost one control plane on one PostgreSQL, and who notices.

Real: `rehost serve` with its receiver, PostgreSQL, TLS, replicas on disk, the agents' API. Simulated: the
sources' disks and agents, which tell progress as running agents do. A sample ends by the real protocol.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.apiserver import source, source_id
from bench.copier import finish
from bench.fleet import SMALL
from bench.fleetprocess import FleetProcess, allow_files, between, fleet
from bench.people import QUOTA, People, Timed
from bench.plan import Plan
from bench.planes import Planes, planes
from bench.postgres import Postgres, postgres
from bench.processes import cpu_of
from bench.result import Figures
from rehost.cli.client import load_profile
from rehost.core.errors import RehostError
from rehost.store.schema import source_servers
from rehost.store.store import Store

_ARRIVE = 200  # agents a second, at the beginning
_START_WITHIN = 0.6  # seconds for each job
_SETTLE = 5.0  # seconds between the last start and the measurement
_COMMANDS = _SCHEDULED = 10  # in each measurement
_FINISHED = 20  # jobs that end by the real protocol
_LIMITS = {"replication_jobs": QUOTA}
COLUMNS = (
    "progress/s", "serve, cores", "it waits for a core, %", "serve, MiB", "receiver, MiB",
    "agents, cores", "PostgreSQL, cores", "PostgreSQL, MiB", "transactions/s", "statements/s", "WAL, MB/s",
    "list 50: p50, ms", "p95", "create: p50, ms", "p95",
    "slowest command, s", "latest scheduled start, s", "failed requests",
)  # fmt: skip


@dataclass(slots=True)
class Site:
    planes: Planes
    database: Postgres
    crowd: FleetProcess
    people: People
    jobs: list[tuple[str, str]]  # sources and jobs that run
    free: Iterator[str]  # sources without a job

    def take(self, count: int) -> list[str]:
        return [next(self.free) for _ in range(count)]


def many_jobs(plan: Plan) -> Figures:
    sources = min(plan.sources, allow_files() - 1000 - plan.jobs)
    with plan.scratch() as folder, _site(folder, sources, plan.serves) as site:
        rows: list[tuple[str, tuple[float, ...]]] = []
        try:
            rows.extend(_step(site, jobs, plan.seconds) for jobs in _steps(plan))
            ended = finish(site.planes.first, site.jobs[:_FINISHED])
            end = f"{_FINISHED} of the jobs ended by the real protocol in {ended:.0f} s"
        except (RehostError, TimeoutError) as error:  # what was measured before is what it carries
            end = f"it ended with: {error}"
        if not rows:
            raise RuntimeError(f"nothing was measured; {end}")
        size = site.database.size() >> 20
    note = (
        f"{plan.seconds:.0f} s of {sources:,} agents over TLS, on two cores that {_serves(plan)},"
        f" PostgreSQL and the agents share; the database has {size} MiB; {end}"
    )
    return Figures("scale", "Many jobs", note, COLUMNS, tuple(rows), COLUMNS.index("serve, cores"))


def _serves(plan: Plan) -> str:
    return "serve" if plan.serves == 1 else f"{plan.serves} of serve"


def _steps(plan: Plan) -> list[int]:
    """Numbers of jobs, each twice the one before."""
    return [plan.jobs >> halves for halves in reversed(range(plan.steps))]


def _step(site: Site, jobs: int, seconds: float) -> tuple[str, tuple[float, ...]]:
    took = _grow(site, jobs)
    print(f"  {jobs} jobs, the last ones started in {took:.0f} s", flush=True)
    figures = _measured(site, seconds)
    for name, value in zip(COLUMNS, figures, strict=True):
        print(f"    {name:28} {value:10.4g}", flush=True)
    site.database.tell_top()
    return f"{jobs:,} jobs run", figures


@contextmanager
def _site(folder: Path, sources: int, serves: int) -> Iterator[Site]:
    with ExitStack() as stack:
        database = stack.enter_context(postgres())
        store = Store.open(database.url, bytes(32))
        stack.callback(store.close)
        _fill(store, sources)
        served = stack.enter_context(planes(folder, serves, database.url, _lift_limits))
        data = served.first.data
        options = ("--carry-out", "--ca", str(data / "keys" / "ca.crt"))
        crowd = stack.enter_context(fleet(served.ports, sources, max(20.0, sources / _ARRIVE), *options))
        crowd.wait_warm()
        people = People(load_profile(data / "first-access-key.json"), store)
        yield Site(served, database, crowd, people, [], map(source_id, range(sources)))


def _lift_limits(data: Path) -> None:
    (data / "limits.json").write_text(json.dumps(_LIMITS))


def _fill(store: Store, sources: int) -> None:
    now = time.time()
    rows = [source(number, "default", now) | {"inventory": SMALL} for number in range(sources)]
    with store.database.write() as connection:
        connection.execute(source_servers.insert(), rows)


def _grow(site: Site, jobs: int) -> float:
    """Until so many jobs run; the seconds that it took."""
    began = time.monotonic()
    more = site.take(jobs - len(site.jobs))
    site.jobs += zip(more, site.people.create_and_start(more), strict=True)
    deadline = time.monotonic() + 60 + len(more) * _START_WITHIN
    while site.people.running() < jobs:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{site.people.running()} of {jobs} jobs copy, after {deadline - began:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - began


def _measured(site: Site, seconds: float) -> tuple[float, ...]:
    time.sleep(_SETTLE)
    creating = iter(site.take(int(seconds * 2) + 10))
    looks = Timed(site.people.look)
    creates = Timed(lambda: site.people.create(next(creating)))
    before, counts = site.database.totals(), site.crowd.counts()
    cpu, waited, began = site.planes.cpu(), site.planes.waited(), time.monotonic()
    crowd = cpu_of(site.crowd.pid)
    looks.start()
    creates.start()
    scheduled = site.people.schedule(site.take(_SCHEDULED))
    stopped = site.jobs[:_COMMANDS]
    slowest = site.people.commands(stopped, site.crowd)
    site.people.start([job for _, job in stopped])
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    took = time.monotonic() - began
    after, answered = site.database.totals(), between(counts, site.crowd.counts())
    return (
        answered.progress / took, (site.planes.cpu() - cpu) / took,
        (site.planes.waited() - waited) / took * 100, site.planes.memory() / (1 << 20),
        site.planes.receivers() / (1 << 20), (cpu_of(site.crowd.pid) - crowd) / took,
        (after.cpu - before.cpu) / took, site.database.memory() / (1 << 20),
        (after.transactions - before.transactions) / took, (after.statements - before.statements) / took,
        (after.wal - before.wal) / took / 1e6, *looks.end(), *creates.end(), slowest,
        site.people.late(scheduled), float(answered.failures),
    )  # fmt: skip
