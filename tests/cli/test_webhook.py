"""Webhooks by the commands, against a real `rehost serve` and a real receiver; and kill -9 of the one, or
the other, in the middle."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.block.crashpoint import VARIABLE
from rehost.cli import datafolder
from rehost.core.job import Event
from tests.cli.serving import Agent, ControlPlane, until
from tests.cli.test_commands import Rehost
from tests.flow.receiver import Receiver, receiving

Capture = pytest.CaptureFixture[str]
Started = Callable[[], tuple[ControlPlane, Rehost]]


@pytest.fixture
def plane(tmp_path: Path, cache: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, cache)
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def start(plane: ControlPlane, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Started:
    """A control plane that allows receivers on this host, and commands for it."""
    (plane.data / "limits.json").write_text('{"local_webhooks": true}')

    def act() -> tuple[ControlPlane, Rehost]:
        plane.start()
        key = json.loads((plane.data / "first-access-key.json").read_text())
        monkeypatch.setenv("REHOST_ENDPOINT", key["Endpoint"])
        monkeypatch.setenv("REHOST_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("REHOST_ACCESS_KEY_SECRET", key["AccessKeySecret"])
        monkeypatch.setenv("REHOST_CA", key["CaFile"])
        return plane, Rehost(capsys)

    return act


def test_the_life_of_a_hook(start: Started, receiver: Receiver) -> None:
    plane, rehost = start()
    made = rehost.json("webhook", "add", receiver.url, "--event", "job.*", "--event", "InError")
    hook, secret = made["WebhookId"], made["Secret"]
    rehost("webhook", "test", hook)
    assert f"{hook} has it: HTTP 200" in rehost.err
    assert receiver.types() == ["webhook.test"]
    assert receiver.received[0].proves(secret)
    assert "job.*, InError" in rehost("webhook", "list")
    assert secret not in rehost.out
    assert "webhook.test" in rehost("webhook", "deliveries", hook)

    receiver.answers = lambda received: 503
    rehost("webhook", "test", hook, exits=1)
    assert "the receiver answered 503; it is tried again" in rehost.err
    assert "failing, next at" in rehost("webhook", "list")
    rehost("webhook", "disable", hook)
    job = Agent(plane).create_job()
    assert "disabled" in rehost("webhook", "list")
    receiver.answers = lambda received: 200
    rehost("webhook", "enable", hook)
    until(lambda: "job.create" in receiver.types(), "what happened meanwhile is told")
    assert receiver.received[-1].content["data"]["JobId"] == job
    rehost("webhook", "remove", hook)
    rehost("webhook", "deliveries", hook, exits=3)
    rehost("webhook", "add", "nowhere", exits=1)
    assert "write https://HOST" in rehost.err


def test_receivers_on_this_host_are_refused_unless_they_are_allowed(
    start: Started, plane: ControlPlane, receiver: Receiver
) -> None:
    (plane.data / "limits.json").unlink()
    _, rehost = start()
    hook = rehost.json("webhook", "add", receiver.url)["WebhookId"]
    rehost("webhook", "test", hook, exits=1)
    assert "127.0.0.1 is 127.0.0.1, an address of the control plane's own host" in rehost.err
    assert receiver.received == []


def test_a_kill_between_answer_and_record_repeats_the_message(
    start: Started, plane: ControlPlane, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "crash"))
    plane, rehost = start()
    agent = Agent(plane)
    hook = rehost.json("webhook", "add", receiver.url, "--event", "job.*")
    (tmp_path / "crash").write_text("webhook.answered")
    job = agent.create_job()
    assert plane.process is not None
    assert plane.process.wait(60) == -signal.SIGKILL
    assert plane.process.stdout is not None
    plane.process.stdout.close()
    assert receiver.types() == ["job.create"]
    with closing(datafolder.open_store(plane.data)) as store:
        store.jobs.apply(job, Event.START, "rehost")
        store.jobs.apply(job, Event.FAIL, "rehost", "nobody is there")
    start()
    until(lambda: len(receiver.received) == 4, "all is told")
    assert receiver.types() == ["job.create", "job.create", "job.start", "job.fail"]
    first, again, *rest = receiver.received
    assert (first.id, first.body) == (again.id, again.body)
    assert len({received.id for received in (again, *rest)}) == 3
    assert all(received.proves(hook["Secret"]) for received in receiver.received)


def test_a_kill_in_the_middle_of_an_attempt_loses_nothing(
    start: Started, plane: ControlPlane, receiver: Receiver
) -> None:
    plane, rehost = start()
    agent = Agent(plane)
    rehost("webhook", "add", receiver.url, "--event", "job.*")
    receiver.answers = receiver.hang
    agent.create_job()
    until(lambda: receiver.received, "the message is there, and not answered")
    plane.stop(signal.SIGKILL)
    receiver.answers = lambda received: 200
    receiver.let_go.set()
    start()
    until(lambda: len(receiver.received) == 2, "it is told again")
    assert receiver.received[0].id == receiver.received[1].id
