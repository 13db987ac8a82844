"""What was promised to be durable is there after the power went, part by part."""

import random
from contextlib import closing

import pytest

from rehost.agent import identity, outcome
from rehost.agent.copy import checkpoint
from rehost.agent.copy.checkpoint import Checkpoint
from rehost.agent.outcome import Outcome
from rehost.block import replica
from rehost.block.layer import chain
from rehost.block.volume import ChunkWrite, VolumeShape, ZeroWrite
from rehost.block.writer import open_writer
from rehost.cli import datafolder
from rehost.core import digest
from rehost.core.agentapi import ErrorReport, Register, Result
from rehost.core.job import Event, JobState
from rehost.store.jobspec import JobSpec
from rehost.store.runs import RunType
from rehost.store.store import Store
from tests.crash.powerloss import PowerSupply
from tests.flow.world import INVENTORY


@pytest.fixture(params=[None, 1])
def seed(request: pytest.FixtureRequest) -> int | None:
    return request.param  # type: ignore[no-any-return]


def test_acknowledged_chunks_are_there(power: PowerSupply, seed: int | None) -> None:
    path, shape = power.point / "job", VolumeShape(0, 10 * 4096, 4096)
    replica.create(path, [shape])
    contents = [random.Random(number).randbytes(4096) for number in range(4)]
    with closing(open_writer(path)) as writer:
        writer.commit(
            0, [ChunkWrite(0, n, digest.of(content), content) for n, content in enumerate(contents)]
        )
        writer.commit(0, [ZeroWrite(0, 1, 1), ZeroWrite(0, 4, 6)])
        roots = writer.roots()
    power.lose(seed)
    with closing(open_writer(path)) as writer:
        assert writer.roots() == roots
    found = chain(path)[0].data(0).read_bytes()
    assert found == contents[0] + bytes(4096) + contents[2] + contents[3] + bytes(6 * 4096)


def test_acknowledged_transitions_are_there(power: PowerSupply, seed: int | None) -> None:
    """From the first one on: also the files of the database are."""
    data = power.point / "data"
    with datafolder.served(data), closing(Store.open(data, bytes(32))) as store:
        _, code = store.codes.create("default", "test")
        source = store.servers.register(Register(code, "a" * 64, INVENTORY, "0.1")).id
        job = store.jobs.create("default", JobSpec(source, name="job"), None, "test")
    power.lose(seed)
    with closing(Store.open(data, bytes(32))) as store:
        assert store.jobs.get(job.id).state is JobState.READY
        run = store.runs.begin(job.id, Event.START, RunType.MANUAL, "test")
    power.lose(seed)
    with closing(Store.open(data, bytes(32))) as store:
        assert store.jobs.get(job.id).state is JobState.PREPARING
        assert store.runs.get(run.id).number == 1


def test_what_the_agent_keeps_is_there(power: PowerSupply, seed: int | None) -> None:
    state = power.point / "lib" / "agent"
    known = identity.prepare(state, "https://host:1", "a certificate")
    power.lose(seed)
    assert identity.load(state) == known
    result = Outcome(Result("r-1", 1, error=ErrorReport("Code", "what", "advice")))
    kept = Checkpoint("j-1", ("00" * 32,), ())
    outcome.save(state, result)
    checkpoint.save(state, kept)
    power.lose(seed)
    assert outcome.load(state) == result
    assert checkpoint.load(state) == kept
    checkpoint.forget(state)
    power.lose(seed)
    assert checkpoint.load(state) is None
