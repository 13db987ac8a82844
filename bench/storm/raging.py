"""A storm from its calm before to the proofs after it."""

import time
from pathlib import Path

from bench.storm import findings
from bench.storm.blows import Chance, Role
from bench.storm.customer import Customer
from bench.storm.proving import prove
from bench.storm.record import Record
from bench.storm.scene import Scene, scene
from bench.storm.supervisor import Supervisor

_SETTLING = 600.0  # seconds in which everything has to be finished after the last strike
_AFTERWARDS = 5.0  # seconds in which agents hear that there is nothing left to do


def rage(folder: Path, seed: int, seconds: float, sources: int) -> Record:
    """AssertionError when it does not even begin; everything else is in the record."""
    with scene(folder, sources) as found:
        supervisor = Supervisor((*found.hosts, *found.agents, found.database), Chance(seed))
        _begin(found, supervisor)
        customer = Customer(
            found.first / "first-access-key.json", found.endpoint, [each.id for each in found.sources]
        )
        customer.start()
        began = time.time()
        supervisor.rage(seconds)
        calm = time.time()
        print(f"calm after {calm - began:.0f} s, {len(supervisor.moments)} moments", flush=True)
        settled = _settle(supervisor, customer)
        print(f"settled {settled - calm:.0f} s later", flush=True)
        held = (*findings.still_tracked(found), *_end(found, supervisor))
        with found.store() as store:
            stories = tuple(findings.stories(found, store))
            names = {host.id: host.name for host in store.hosts.all()}
            taken = tuple(findings.takeovers(stories, supervisor.moments, names))
            held += tuple(findings.unfinished(found, store))
            proofs = tuple(prove(found, store))
        units = tuple((unit.name, str(unit.role)) for unit in supervisor.units)
    return Record(
        seed, began, calm, settled, units, tuple(supervisor.moments), stories, taken, proofs,
        (*held, *findings.still_held(folder)), customer.calls, tuple(customer.failures),
    )  # fmt: skip


def _begin(found: Scene, supervisor: Supervisor) -> None:
    """The first server makes the keys that the others need; agents find somebody to register with."""
    first, *others = found.hosts
    supervisor.start(first)
    supervisor.wait_until_ready()
    found.give_keys()
    for host in others:
        supervisor.start(host)
    supervisor.wait_until_ready()
    found.register()
    for unit in supervisor.units:
        if unit.role is Role.AGENT:
            supervisor.start(unit)


def _settle(supervisor: Supervisor, customer: Customer) -> float:
    """When all that was begun was finished, or the time for it was over."""
    customer.close_orders()
    deadline = time.time() + _SETTLING
    while not customer.satisfied and time.time() < deadline:
        supervisor.look()
    customer.stop()
    settled = time.time()
    while time.time() < settled + _AFTERWARDS:
        supervisor.look()
    return settled


def _end(found: Scene, supervisor: Supervisor) -> tuple[str, ...]:
    for unit in supervisor.units:
        unit.end()
    return tuple(findings.still_running(found))
