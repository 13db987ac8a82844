"""The API beside another cloud's in Python: signed calls, and how they grow with what is listed."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median

from bench.contenders import services
from bench.contenders.services import Service
from bench.load import at_rate, flat_out
from bench.plan import Plan
from bench.processes import cpu_of
from bench.result import Figures

_PORT = 5055  # of moto
_RATE = 200.0  # requests a second, for the percentiles
_MOST = 4000  # requests of one measurement
_WORDS = {
    "list": "list 50 of the sources, with their total",
    "filter": "list 50 of those that a filter finds",
    "jobs": "list 50 of the jobs, with their total",
    "create": "create one",
}


def compared(plan: Plan) -> Figures:
    """Both servers on one core in turns, the client on the other."""
    rows = 1000 if plan.quick else 10_000
    with plan.scratch() as folder, ExitStack() as stack:
        ours: Service = stack.enter_context(services.rehost(folder, rows))
        theirs: Service = stack.enter_context(services.moto(_cache(plan), _PORT, rows))
        stack.enter_context(_on_the_other_core())
        found = {
            (call, service.name): list(islice(_trials(service, call, plan), plan.rounds))
            for call in services.CALLS
            for service in (ours, theirs)
        }
        latencies = {call: _latency(ours, call) for call in services.CALLS}
    lines = []
    for (call, name), trials in found.items():
        if trials:
            wall, cpu = (median(trial[place] for trial in trials) for place in (0, 1))
            of_rate = latencies[call] if name == "rehost" else (None, None)
            lines.append((f"{name}: {_WORDS[call]}", (wall, cpu, *of_rate)))
    note = (
        f"{rows:,} sources and as many jobs, or instances of EC2 with moto, whose server does not check"
        " signatures; four connections, one core for the server. Requests per second of the server's CPU hold"
        f" when others use the machine too. Percentiles are of {_RATE:.0f} requests a second, late or not"
    )
    columns = ("requests/s", "requests per CPU second", "p50, ms", "p99, ms")
    return Figures("api", "Signed calls", note, columns, tuple(lines), 1)


def growth(plan: Plan) -> Figures:
    """The same call with ever more rows."""
    sizes = (100, 1000, 10_000) if plan.quick else (100, 1000, 10_000, 100_000)
    lines = []
    for rows in sizes:
        with plan.scratch() as folder, services.rehost(folder, rows) as ours, _on_the_other_core():
            costs = [
                1000 / median(trial[1] for trial in islice(_trials(ours, call, plan), plan.rounds))
                for call in ("list", "jobs", "filter")
            ]
        lines.append((f"rehost, {rows:,} rows", tuple(costs)))
    columns = ("list sources, ms of CPU", "list jobs, ms of CPU", "jobs by filter, ms of CPU")
    note = "CPU of the server for one signed request, 50 rows a page; a filter finds one job in a hundred"
    return Figures("rows", "Growth with what is listed", note, columns, tuple(lines), 0)


def _trials(service: Service, call: str, plan: Plan) -> Iterator[tuple[float, float]]:
    """Requests a second, and for each second of the server's CPU."""
    seconds = 3.0 if plan.quick else 8.0
    most = 150 if call == "create" else _MOST
    while True:
        requests = [request for _ in range(most) if (request := service.request(call))]
        if not requests:
            return
        before = cpu_of(service.pid)
        measured = flat_out(service.port, iter(requests), seconds)
        used = cpu_of(service.pid) - before
        count = len(measured.milliseconds)
        print(
            f"  {service.name:8} {call:8} {measured.rate:8.1f}/s {1000 * used / count:8.2f} ms of CPU",
            flush=True,
        )
        yield measured.rate, count / used


def _latency(service: Service, call: str) -> tuple[float, float]:
    requests = [request for _ in range(int(_RATE * 5)) if (request := service.request(call))]
    measured = at_rate(service.port, requests, _RATE)
    return measured.percentile(50), measured.percentile(99)


@contextmanager
def _on_the_other_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    if services.CLIENT_CORE in before:
        os.sched_setaffinity(0, {services.CLIENT_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cache(plan: Plan) -> Path:
    """moto's environment is kept between runs."""
    return Path(os.environ.get("REHOST_CACHE", ".cache")).resolve()
