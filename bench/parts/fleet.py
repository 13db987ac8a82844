"""Ten thousand agents: what heartbeats and long polls cost the control plane, and how fast agents hear."""

import random
import time

from bench.apiserver import source_id
from bench.contenders import services
from bench.fleetprocess import allow_files, between, fleet, slowest
from bench.plan import Plan
from bench.processes import cpu_of, memory_of
from bench.result import Figures
from rehost.core.agentapi import Assignment, AssignmentVolume
from rehost.store.store import Store

_COMMANDS = 100
_ASSIGNMENT = Assignment(
    "r-1", "j-1", 1, "ticket", "", 7443, (AssignmentVolume(0, "/dev/sda", 1 << 30, 1 << 18),)
)


def connected(plan: Plan) -> Figures:
    """Commands are given by another process than the one that holds the polls."""
    agents = min(1000 if plan.quick else 10_000, allow_files() - 1000)
    warm, seconds = (35, 20) if plan.quick else (75, 60)
    with (
        plan.scratch() as folder,
        services.rehost(folder, agents) as ours,
        fleet((ours.port,), agents, warm) as crowd,
    ):
        crowd.wait_warm()
        before, cpu, began = crowd.counts(), cpu_of(ours.pid), time.monotonic()
        store = Store.open(folder, bytes(32))
        given = _give(store, agents, seconds)
        store.close()
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        answered = between(before, crowd.counts())
        share, memory = (cpu_of(ours.pid) - cpu) / (time.monotonic() - began), memory_of(ours.pid)
        delivered, latest = slowest(given, crowd.heard)
    figures = (
        answered.beats / seconds, answered.polls / seconds, share, memory / (1 << 20), delivered, latest,
        answered.failures,
    )  # fmt: skip
    columns = (
        "heartbeats/s", "polls/s", "cores", "MiB", "commands delivered", "slowest, s", "failed requests",
    )  # fmt: skip
    note = f"{seconds} s of {agents:,} agents with heartbeats and long polls in turns, over HTTP"
    return Figures("fleet", "Agents", note, columns, ((f"rehost, {agents:,} agents", figures),), 2)


def _give(store: Store, agents: int, seconds: float) -> list[tuple[str, float]]:
    """In the first half, so that all can be heard of."""
    given = []
    for number in random.Random(2).sample(range(agents), _COMMANDS):
        given.append((source_id(number), time.time()))
        store.assignments.assign(source_id(number), _ASSIGNMENT)
        time.sleep(seconds / 2 / _COMMANDS)
    return given
