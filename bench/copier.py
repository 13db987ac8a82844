"""Ends runs as agents do: the real data plane, the real result; the disks are bytes."""

import os
import time
from collections.abc import Sequence
from contextlib import closing

from bench.apiserver import secret, source_id
from rehost.agent.control import ControlClient, host_and_port
from rehost.cli import datafolder
from rehost.core.agentapi import Assignment, Result, RunReport
from rehost.core.job import JobState
from rehost.store.store import Store
from rehost.wire import messages as m
from rehost.wire.channel import Channel
from rehost.wire.tls import client_context, connect
from tests.cli.serving import ControlPlane, until
from tests.receive.site import Sender


def finish(plane: ControlPlane, jobs: Sequence[tuple[str, str]]) -> float:
    """Copy the disks of jobs (source, job) one after the other; the seconds until all are finished."""
    began = time.monotonic()
    with closing(datafolder.open_store(plane.data)) as store:
        for source, _ in jobs:
            assignment = _assignment(store, source)
            _tell(plane, source, assignment, _copy(plane, assignment))
    for _, job in jobs:
        plane.until_state(job, JobState.FINISHED)
    return time.monotonic() - began


def _assignment(store: Store, source: str) -> Assignment:
    """A job that was just started has it in a moment, at another host after its next tick."""
    until(lambda: store.assignments.get(source)[1] is not None, f"{source} has an assignment")
    found = store.assignments.get(source)[1]
    assert found is not None
    return found


def _copy(plane: ControlPlane, assignment: Assignment) -> tuple[bytes, ...]:
    """The roots of what was sent."""
    context = client_context((plane.data / "keys" / "ca.crt").read_text())
    host, _ = host_and_port(plane.endpoint)
    with closing(Channel(connect(host, assignment.receiver_port, context, 10), m.Role.AGENT)) as channel:
        sender = Sender(channel, assignment.ticket, 0)
        for volume in assignment.volumes:
            for chunk in range(volume.size // volume.chunk):
                sender.send(volume.volume, chunk, os.urandom(volume.chunk))
        return sender.complete()


def _tell(plane: ControlPlane, source: str, assignment: Assignment, roots: tuple[bytes, ...]) -> None:
    report = RunReport(tuple(root.hex() for root in roots), (), 0, 0, 0, 0.0, 0.0, 1.0)
    number = next(each for each in range(1 << 20) if source_id(each) == source)
    ca = (plane.data / "keys" / "ca.crt").read_text()
    with closing(ControlClient(plane.endpoint, ca, f"Bearer {source}:{secret(number)}")) as client:
        client.result(Result(assignment.run, assignment.generation, report))
