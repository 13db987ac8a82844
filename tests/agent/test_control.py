"""The control client against a real TLS server: answers, refusals, cuts, silence, a wrong authority."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehost.agent import control
from rehost.agent.control import ControlClient, RefusedError, host_and_port, persist
from rehost.cli import keyring
from rehost.core.agentapi import AssignmentAnswer, Registered
from rehost.core.errors import ControlPlaneError, InvalidValueError, code_of
from tests.agent.builders import PROGRESS, REGISTER, RESULT
from tests.agent.peer import CUT, HANG, Peer, peer

REGISTER_PATH, RESULT_PATH = "/agent/v1/register", "/agent/v1/result"
REGISTERED = (200, {"source_id": "s-1", "heartbeat_rate": 30})


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Peer]:
    with peer(tmp_path / "keys") as made:
        yield made


@pytest.fixture
def client(plane: Peer) -> Iterator[ControlClient]:
    made = ControlClient(plane.url, plane.ca, "Bearer s-1:ab", timeout=5)
    yield made
    made.close()


def test_requests_carry_values_and_the_identity(plane: Peer, client: ControlClient) -> None:
    plane.answers[REGISTER_PATH] = [REGISTERED]
    assert client.register(REGISTER) == Registered("s-1", 30)
    (asked,) = plane.asked
    assert (asked.method, asked.path, asked.authorization) == ("POST", REGISTER_PATH, "Bearer s-1:ab")
    assert asked.body["code"] == REGISTER.code
    assert asked.body["inventory"]["disks"][0]["path"] == "/dev/sda"


def test_one_connection_is_kept(plane: Peer, client: ControlClient) -> None:
    for _ in range(3):
        client.progress(PROGRESS)
    assert len({asked.connection for asked in plane.asked}) == 1


def test_the_assignment_is_asked_for_by_version(plane: Peer, client: ControlClient) -> None:
    plane.answers["/agent/v1/assignment"] = [(200, {"version": 8, "assignment": None})]
    assert client.assignment(7, wait=0) == AssignmentAnswer(8, None)
    assert plane.asked[0].path == "/agent/v1/assignment?version=7&wait=0"


def test_a_long_poll_may_last_longer_than_other_answers(plane: Peer) -> None:
    client = ControlClient(plane.url, plane.ca, timeout=0.5)
    plane.answers["/agent/v1/assignment"] = [HANG]
    began = time.monotonic()
    with pytest.raises(ControlPlaneError, match="cannot be reached"):
        client.assignment(0, wait=1)
    assert time.monotonic() - began >= 1.5
    client.close()


def test_a_refusal_has_the_words_of_the_control_plane(plane: Peer, client: ControlClient) -> None:
    report = {"code": "ActivationCode.Expired", "what": "the code is old", "advice": "make a new one"}
    plane.answers[REGISTER_PATH] = [(403, report)]
    with pytest.raises(RefusedError, match="the code is old: make a new one") as caught:
        client.register(REGISTER)
    assert (caught.value.status, code_of(caught.value)) == (403, "ActivationCode.Expired")
    assert len(plane.asked) == 1


def test_a_refusal_by_something_else_is_shown(plane: Peer, client: ControlClient) -> None:
    plane.answers[RESULT_PATH] = [(404, b"<html>no such page</html>")]
    with pytest.raises(RefusedError, match=r"404.*no such page.*endpoint"):
        client.result(RESULT)


def test_a_server_error_is_told_with_its_place(plane: Peer, client: ControlClient) -> None:
    plane.answers[RESULT_PATH] = [(500, {})]
    with pytest.raises(ControlPlaneError, match=r"answered 500 to /agent/v1/result.*log"):
        client.result(RESULT)


def test_an_answer_that_is_not_understood_is_told(plane: Peer, client: ControlClient) -> None:
    plane.answers[REGISTER_PATH] = [(200, {"source": 1})]
    with pytest.raises(ControlPlaneError, match="not understood"):
        client.register(REGISTER)


def test_a_kept_connection_that_was_closed_is_made_anew(plane: Peer, client: ControlClient) -> None:
    client.progress(PROGRESS)
    plane.answers[RESULT_PATH] = [CUT, (200, {})]
    client.result(RESULT)
    assert len(plane.of(RESULT_PATH)) == 2


def test_a_fresh_connection_that_is_cut_is_an_error(plane: Peer, client: ControlClient) -> None:
    plane.answers[RESULT_PATH] = [CUT]
    with pytest.raises(ControlPlaneError, match="cannot be reached"):
        client.result(RESULT)
    assert len(plane.asked) == 1


def test_another_authority_is_not_trusted(plane: Peer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = keyring.ensure(tmp_path / "other").ca_pem()
    client = ControlClient(plane.url, other)
    with pytest.raises(ControlPlaneError, match=r"does not trust.*register again"):
        client.result(RESULT)
    assert plane.asked == []


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = ControlClient(f"https://127.0.0.1:{port}", keyring.ensure(tmp_path).ca_pem())
    with pytest.raises(ControlPlaneError, match=r"refused.*rehost serve"):
        client.progress(PROGRESS)


def test_closing_breaks_off_what_is_waited_for(plane: Peer, client: ControlClient) -> None:
    plane.answers["/agent/v1/assignment"] = [HANG]
    errors: list[Exception] = []

    def wait() -> None:
        try:
            client.assignment(0)
        except ControlPlaneError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    plane.wait_for("/agent/v1/assignment", 1)
    client.close()
    waiting.join(10)
    assert len(errors) == 1
    assert len(plane.asked) == 1  # not tried again on a new connection


def test_a_closed_client_asks_nothing_any_more(plane: Peer, client: ControlClient) -> None:
    client.close()
    with pytest.raises(ControlPlaneError, match="ending"):
        client.assignment(0)
    assert plane.asked == []


def test_persisting_goes_on_until_there_is_an_answer(
    plane: Peer, client: ControlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "FIRST_PAUSE", 0.01)
    plane.answers[REGISTER_PATH] = [CUT, (503, {}), (500, b"?"), REGISTERED]
    assert persist(lambda: client.register(REGISTER), threading.Event(), "no") == Registered("s-1", 30)
    assert len(plane.asked) == 4


def test_persisting_ends_at_a_refusal_and_when_told_to(plane: Peer, client: ControlClient) -> None:
    plane.answers[REGISTER_PATH] = [(403, {"code": "a", "what": "b", "advice": "c"})]
    with pytest.raises(RefusedError):
        persist(lambda: client.register(REGISTER), threading.Event(), "no")
    assert len(plane.asked) == 1
    stopped = threading.Event()
    stopped.set()
    assert persist(lambda: client.register(REGISTER), stopped, "no") is None


def test_endpoints() -> None:
    assert host_and_port("https://192.0.2.1:8443") == ("192.0.2.1", 8443)
    assert host_and_port("https://[2001:db8::1]:8443/") == ("2001:db8::1", 8443)
    assert host_and_port("https://control.example") == ("control.example", 443)
    for wrong in (
        "http://192.0.2.1:1",
        "192.0.2.1:8443",
        "https://h:1/path",
        "https://:1",
        "https://h:99999",
    ):
        with pytest.raises(InvalidValueError, match="not an endpoint"):
            host_and_port(wrong)


def test_a_file_that_is_no_certificate_is_told() -> None:
    for text in ("", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(InvalidValueError, match="not a certificate"):
            ControlClient("https://192.0.2.1:1", text)
