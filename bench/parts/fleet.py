"""Ten thousand agents: what heartbeats and long polls cost the control plane, and how fast agents hear."""

import random
import resource
import subprocess
import sys
import threading
import time
from typing import IO

from bench.apiserver import source_id
from bench.contenders import services
from bench.plan import Plan
from bench.processes import cpu_of, memory_of
from bench.result import Figures
from rehost.core.agentapi import Assignment, AssignmentVolume
from rehost.store.store import Store

_COMMANDS = 100
_FILES = 1 << 16  # of a process: each agent has two connections while it tells its heartbeat
_ASSIGNMENT = Assignment(
    "r-1", "j-1", 1, "ticket", "", 7443, (AssignmentVolume(0, "/dev/sda", 1 << 30, 1 << 18),)
)


def connected(plan: Plan) -> Figures:
    """Commands are given by another process than the one that holds the polls."""
    agents = min(1000 if plan.quick else 10_000, _allow_files() - 1000)
    warm, seconds = (35, 20) if plan.quick else (75, 60)
    with plan.scratch() as folder, services.rehost(folder, agents) as ours:
        command = [sys.executable, "-m", "bench.fleet", str(ours.port), str(agents), str(warm), str(seconds)]
        with subprocess.Popen(
            ["taskset", "-c", str(services.CLIENT_CORE), *command], stdout=subprocess.PIPE, text=True
        ) as fleet:
            assert fleet.stdout is not None
            while fleet.stdout.readline() != "warm\n":
                pass
            cpu, began = cpu_of(ours.pid), time.monotonic()
            given: dict[str, float] = {}
            store = Store.open(folder, bytes(32))
            commands = threading.Thread(target=_give, args=(store, agents, seconds, given))
            commands.start()
            heard, beats, polls, failures = _listen(fleet.stdout)
            share, memory = (cpu_of(ours.pid) - cpu) / (time.monotonic() - began), memory_of(ours.pid)
            commands.join()
            store.close()
    waited = sorted(heard[source] - when for source, when in given.items() if source in heard)
    figures = (
        beats / seconds, polls / seconds, share, memory / (1 << 20), len(waited) / len(given), waited[-1],
        failures,
    )  # fmt: skip
    columns = (
        "heartbeats/s", "polls/s", "cores", "MiB", "commands delivered", "slowest, s", "failed requests",
    )  # fmt: skip
    note = f"{seconds} s of {agents:,} agents with a heartbeat every 30 s and a long poll each, over HTTP"
    return Figures("fleet", "Agents", note, columns, ((f"rehost, {agents:,} agents", figures),), 2)


def _allow_files() -> int:
    """As many as wanted, else as many as are allowed here: then connections fail when either side is slow."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    except ValueError:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _give(store: Store, agents: int, seconds: float, given: dict[str, float]) -> None:
    """In the first half, so that all can be heard of."""
    for number in random.Random(2).sample(range(agents), _COMMANDS):
        given[source_id(number)] = time.time()
        store.assignments.assign(source_id(number), _ASSIGNMENT)
        time.sleep(seconds / 2 / _COMMANDS)


def _listen(lines: IO[str]) -> tuple[dict[str, float], int, int, int]:
    heard: dict[str, float] = {}
    for line in lines:
        first, *others = line.split()
        if first == "over":
            beats, polls, failures = map(int, others)
            return heard, beats, polls, failures
        heard.setdefault(first, float(others[0]))
    raise RuntimeError("the fleet ended early")
