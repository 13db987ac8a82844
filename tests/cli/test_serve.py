import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from rehost.block.layer import chain
from rehost.cli import datafolder, keyring
from rehost.cli.serve import ServeConfig, serve
from rehost.core.errors import DataFolderError, InvalidValueError
from rehost.core.job import JobState
from rehost.store.keys import KeyStatus
from tests.cli.serving import ROOT, Agent, ControlPlane, until


@pytest.fixture
def plane(tmp_path: Path, cache: Path) -> Iterator[ControlPlane]:
    started = ControlPlane(tmp_path, cache)
    started.start()
    yield started
    started.close()


def test_secrets_are_for_their_owner_only_and_in_no_log(plane: ControlPlane, tmp_path: Path) -> None:
    secret = json.loads((tmp_path / "first-access-key.json").read_text())["AccessKeySecret"]
    plane.client().call("DescribeSourceServers")
    assert plane.stop() == 0
    for name in ("first-access-key.json", "rehost.db", "dbos.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    for name in ("ca.key", "server.key", "ticket.key", "secrets.key"):
        assert stat.S_IMODE((tmp_path / "keys" / name).stat().st_mode) == 0o600, name
    for folder in ("keys", "replicas", "images", "logs"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700, folder
    holders = [
        path.name for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert holders == ["first-access-key.json"]


def test_the_first_key_works_and_stays_over_restarts(plane: ControlPlane, tmp_path: Path) -> None:
    assert plane.client().call("DescribeSourceServers")["TotalCount"] == 0
    first = json.loads((tmp_path / "first-access-key.json").read_text())
    certificates = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    assert first["Endpoint"] == plane.endpoint
    plane.stop()
    plane.start()
    again = json.loads((tmp_path / "first-access-key.json").read_text())
    assert again == {**first, "Endpoint": plane.endpoint}
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == certificates
    assert plane.client().call("DescribeSourceServers")["TotalCount"] == 0


def test_a_first_key_that_its_owner_took_away_does_not_come_back(plane: ControlPlane, tmp_path: Path) -> None:
    plane.stop()
    (tmp_path / "first-access-key.json").unlink()
    plane.start()
    assert not (tmp_path / "first-access-key.json").exists()
    store = datafolder.open_store(tmp_path)
    assert len(store.keys.all()) == 1
    store.close()


def test_a_first_start_that_was_cut_off_before_the_database_takes_the_files_key(
    tmp_path: Path, cache: Path
) -> None:
    """The file is written before the row."""
    given = {"AccessKeyId": "LTAIgiven", "AccessKeySecret": "s3cret"}
    (tmp_path / "first-access-key.json").write_text(json.dumps(given))
    plane = ControlPlane(tmp_path, cache)
    plane.start()
    try:
        assert plane.client().call("DescribeSourceServers")["TotalCount"] == 0
        store = datafolder.open_store(tmp_path)
        assert [(key.id, key.secret, key.status) for key in store.keys.all()] == [
            ("LTAIgiven", "s3cret", KeyStatus.ACTIVE)
        ]
        store.close()
    finally:
        plane.close()


def test_two_on_one_folder_are_refused_with_a_clear_error(plane: ControlPlane, tmp_path: Path) -> None:
    assert plane.process is not None
    with pytest.raises(DataFolderError, match=f"served by the process {plane.process.pid}"):
        serve(ServeConfig(tmp_path, "127.0.0.1:0", "127.0.0.1:0"))
    plane.stop(signal.SIGKILL)
    plane.start()


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:x", "127.0.0.1:99999"])
def test_a_bad_listen_is_refused(tmp_path: Path, listen: str) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom rehost.cli.serve import ServeConfig, serve\n"
    code += "serve(ServeConfig(Path(sys.argv[1]), sys.argv[2], '127.0.0.1:0'))"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), listen], capture_output=True, text=True, check=False
    )
    assert InvalidValueError.__name__ in ended.stderr
    assert "HOST:PORT" in ended.stderr


@pytest.mark.parametrize("option", ["--listen", "--receive-listen"])
def test_a_taken_port_is_a_clear_error_and_nothing_is_left_running(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"--listen": "127.0.0.1:0", "--receive-listen": "127.0.0.1:0"}
        places[option] = f"127.0.0.1:{taken.getsockname()[1]}"
        command = ["-m", "rehost.cli.main", "serve", "--data", str(tmp_path), *sum(places.items(), ())]
        ended = subprocess.run(
            [sys.executable, *command],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
    assert ended.returncode == 1
    assert "Address already in use" in ended.stderr
    assert option in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_receiver_that_dies_is_started_again_at_its_port(plane: ControlPlane) -> None:
    pid = plane.receiver_pid()
    port = json.loads((plane.data / "receiver.json").read_text())["port"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: plane.receiver_pid() != pid, "another receiver")
    assert json.loads((plane.data / "receiver.json").read_text())["port"] == port
    assert _answers(port)


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_receiver_ends_with_its_control_plane(plane: ControlPlane, number: int) -> None:
    pid = plane.receiver_pid()
    plane.stop(number)
    until(lambda: not _lives(pid), "the receiver has ended")


def _lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_stop_says_goodbye_in_the_announcement(plane: ControlPlane, tmp_path: Path) -> None:
    assert plane.process is not None
    assert json.loads((tmp_path / "serve.json").read_text())["pid"] == plane.process.pid
    assert plane.stop() == 0
    assert not (tmp_path / "serve.json").exists()


def test_tls_names_rehost_and_the_agents_files_are_there(plane: ControlPlane, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=str(tmp_path / "keys" / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    host, port = "127.0.0.1", int(plane.endpoint.rpartition(":")[2])
    with (
        socket.create_connection((host, port), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="rehost") as secured,
    ):
        assert secured.version() == "TLSv1.3"
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    with opener.open(f"{plane.endpoint}/agent/install.sh") as answer:
        script = answer.read().decode()
    assert plane.endpoint in script
    assert (tmp_path / "keys" / "ca.crt").read_text().strip() in script


def test_more_addresses_make_another_certificate_with_the_same_key(tmp_path: Path) -> None:
    first = keyring.ensure(tmp_path)
    pin, names = first.pin(), _alternatives(tmp_path)
    assert {"rehost", "localhost", "127.0.0.1"} <= names
    second = keyring.ensure(tmp_path, ["example.org", "192.0.2.7"])
    assert second.pin() == pin
    assert _alternatives(tmp_path) == names | {"example.org", "192.0.2.7"}
    unchanged = second.server_certificate.read_bytes()
    keyring.ensure(tmp_path)
    assert second.server_certificate.read_bytes() == unchanged


def _alternatives(folder: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_a_start_that_was_cut_off_while_making_keys_makes_the_rest(tmp_path: Path) -> None:
    keyring.ensure(tmp_path)
    for missing in ("ca.crt", "server.crt"):
        (tmp_path / missing).unlink()
    keyring.ensure(tmp_path)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_whole_run_over_api_and_data_plane(plane: ControlPlane) -> None:
    agent = Agent(plane)
    job_id = agent.create_job()
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)
    done = plane.until_state(job_id, JobState.FINISHED)
    shown = plane.describe(job_id)
    assert (shown["Status"], shown["Progress"], shown["ImageId"]) == ("Finished", 100.0, done.image_id)
    for number, content in enumerate(agent.contents):
        assert chain(plane.data / "replicas" / job_id)[0].data(number).read_bytes() == content
