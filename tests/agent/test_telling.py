"""Heartbeats and progress: what is told, what troubles are said once, and that nobody waits for them."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rehost.agent import reporter
from rehost.agent.control import ControlClient
from rehost.agent.heart import LONGEST, SOONER, Heart
from rehost.agent.reporter import Reporter
from rehost.agent.survey.host import Host
from rehost.agent.survey.systeminfo import UsageMeter
from rehost.core.agentapi import ASSIGNMENT_WAIT
from rehost.core.errors import SourceReadError
from rehost.core.server import Inventory
from tests.agent.builders import INVENTORY, PROGRESS
from tests.agent.peer import HANG, Peer, peer

BEAT, PROGRESS_PATH = "/agent/v1/heartbeat", "/agent/v1/progress"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Peer]:
    with peer(tmp_path / "keys", {BEAT: [(200, {"heartbeat_rate": 7})]}) as made:
        yield made


@pytest.fixture
def client(plane: Peer) -> Iterator[ControlClient]:
    made = ControlClient(plane.url, plane.ca, timeout=5)
    yield made
    made.close()


def heart(client: ControlClient, *inventories: Inventory | Exception) -> Heart:
    queue = list(inventories)

    def collect() -> Inventory:
        found = queue.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return Heart(client, collect, UsageMeter(Host()))


def beat(beating: Heart) -> bool:
    beating.collect()
    return beating.beat()


def test_a_heartbeat_tells_the_server_and_learns_its_rate(plane: Peer, client: ControlClient) -> None:
    beating = heart(client, INVENTORY)
    assert beat(beating)
    assert beating.rate == 7
    body = plane.asked[0].body
    assert body["inventory"]["hostname"] == "oak"
    assert '"hostname":"oak"' in body["system_info"]
    assert (body["error_code"], body["error_msg"]) == ("", "")


def test_a_disk_that_fails_is_told_with_the_last_good_inventory(
    plane: Peer, client: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    broken = SourceReadError("/dev/sda cannot be read", "replace it")
    beating = heart(client, INVENTORY, broken, broken, INVENTORY)
    assert [beat(beating) for _ in range(4)] == [True] * 4
    bodies = [asked.body for asked in plane.asked]
    assert [body["error_code"] for body in bodies] == ["", *["SourceDisk.ReadFailed"] * 2, ""]
    assert bodies[1]["error_msg"] == "/dev/sda cannot be read: replace it"
    assert bodies[1]["inventory"]["hostname"] == "oak"
    assert caplog.text.count("/dev/sda cannot be read") == 2  # once when it begins, once when it is over


def test_without_any_inventory_there_is_no_heartbeat_but_a_line(
    plane: Peer, client: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    beating = heart(client, SourceReadError("/dev/sda cannot be read", "replace it"))
    assert beating.collect() <= SOONER
    assert beating.beat()
    assert plane.asked == []
    assert "/dev/sda cannot be read: replace it" in caplog.text


def test_a_defect_in_the_inventory_is_told_too(plane: Peer, client: ControlClient) -> None:
    beating = heart(client, INVENTORY, KeyError("oops"))
    assert [beat(beating), beat(beating)] == [True, True]
    assert plane.asked[1].body["error_code"] == "InternalError"
    assert "KeyError: 'oops'" in plane.asked[1].body["error_msg"]


def test_a_lost_control_plane_is_said_once(
    plane: Peer, client: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    plane.answers[BEAT] = [(500, {}), (500, {}), (200, {"heartbeat_rate": 7})]
    beating = heart(client, *[INVENTORY] * 3)
    assert [beat(beating) for _ in range(3)] == [False, False, True]
    assert caplog.text.count("ERROR") == 1


def test_heartbeats_are_collected_at_the_rate(plane: Peer, client: ControlClient) -> None:
    plane.answers[BEAT] = [(200, {"heartbeat_rate": 1})]
    beating, stop = heart(client, *[INVENTORY] * 9), threading.Event()
    beating.rate = 1.0  # else it is known after the first
    thread = threading.Thread(target=beating.loop, args=(stop,))
    thread.start()
    while len(plane.asked) < 3:
        assert beating.beat()
        assert beating.pause() <= LONGEST + 1
        time.sleep(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_heartbeat_is_told_once(plane: Peer, client: ControlClient) -> None:
    beating = heart(client, INVENTORY)
    assert beat(beating)
    assert beating.beat()
    assert len(plane.asked) == 1


def test_one_that_was_not_taken_is_told_again_soon(plane: Peer, client: ControlClient) -> None:
    plane.answers[BEAT] = [(500, {}), (200, {"heartbeat_rate": 7})]
    beating = heart(client, INVENTORY)
    assert not beat(beating)
    assert beating.pause() == SOONER
    assert beating.beat()
    assert len(plane.asked) == 2


def test_a_poll_between_two_heartbeats_leaves_room_for_none_more(client: ControlClient) -> None:
    """And the control plane does not hold one for longer."""
    beating = heart(client, INVENTORY)
    assert beating.pause() <= 2  # the first is being collected
    assert beat(beating)
    assert 0.9 * LONGEST < beating.pause() <= ASSIGNMENT_WAIT


def test_a_disk_that_hangs_holds_no_command_up(client: ControlClient) -> None:
    """Polls go on meanwhile, and get longer, and there is no heartbeat of it."""
    goes_on = threading.Event()

    def collect() -> Inventory:
        goes_on.wait(30)
        return INVENTORY

    beating, stop = Heart(client, collect, UsageMeter(Host())), threading.Event()
    thread = threading.Thread(target=beating.loop, args=(stop,))
    thread.start()
    assert beating.beat()
    assert beating.pause() <= 2
    time.sleep(2.5)
    assert 2 <= beating.pause() <= ASSIGNMENT_WAIT
    stop.set()
    goes_on.set()
    thread.join(10)
    assert not thread.is_alive()


def test_only_the_newest_figures_are_sent(plane: Peer, client: ControlClient) -> None:
    reporting, stop = Reporter(client), threading.Event()
    for number in range(1, 6):
        reporting.offer(replace(PROGRESS, round=number))
    thread = threading.Thread(target=reporting.loop, args=(stop,))
    thread.start()
    plane.wait_for(PROGRESS_PATH, 1)
    reporting.offer(replace(PROGRESS, round=9))
    plane.wait_for(PROGRESS_PATH, 2)
    stop.set()
    thread.join(10)
    assert [asked.body["round"] for asked in plane.asked] == [5, 9]


def test_a_silent_control_plane_does_not_hold_the_copy_up(plane: Peer, client: ControlClient) -> None:
    plane.answers[PROGRESS_PATH] = [HANG]
    reporting, stop = Reporter(client), threading.Event()
    thread = threading.Thread(target=reporting.loop, args=(stop,))
    thread.start()
    reporting.offer(PROGRESS)
    plane.wait_for(PROGRESS_PATH, 1)  # the reporter now waits for an answer that does not come
    began = time.monotonic()
    for _ in range(10_000):
        reporting.offer(PROGRESS)
    assert time.monotonic() - began < 5  # the client's timeout: nothing waited for it
    stop.set()
    client.close()
    thread.join(10)
    assert not thread.is_alive()


def test_lost_figures_are_said_once_and_their_return_too(
    plane: Peer, client: ControlClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "INTERVAL", 0.01)
    caplog.set_level("INFO")
    plane.answers[PROGRESS_PATH] = [(503, {}), (503, {}), (200, {})]
    reporting, stop = Reporter(client), threading.Event()
    thread = threading.Thread(target=reporting.loop, args=(stop,))
    thread.start()
    for count in (1, 2, 3, 4):
        reporting.offer(PROGRESS)
        plane.wait_for(PROGRESS_PATH, count)
    stop.set()
    thread.join(10)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "over: progress does not reach" in caplog.text


def test_figures_of_an_ended_run_are_forgotten(plane: Peer, client: ControlClient) -> None:
    reporting = Reporter(client)
    reporting.offer(PROGRESS)
    reporting.clear()
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    reporting.loop(stop)
    assert plane.asked == []
