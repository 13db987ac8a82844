"""Accounts, users, roles, policies, temporary keys and the trail, by the commands and against a real server;
and that what is secret stands nowhere afterwards."""

import base64
import csv
import http.client
import io
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from rehost.api import times
from rehost.store.keys import AccessKey, KeyStatus
from tests.api.signed import sign_v1, v1_parameters
from tests.cli.serving import ControlPlane
from tests.cli.test_commands import Rehost

Capture = pytest.CaptureFixture[str]
READ = {"Effect": "Allow", "Action": "smc:Describe*", "Resource": "*"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[ControlPlane]:
    started = ControlPlane(tmp_path_factory.mktemp("data"), cache)
    started.start()
    yield started
    started.close()


class Person(Rehost):
    """Runs commands on the data folder, and on the API as whoever it is made to be."""

    def __init__(self, plane: ControlPlane, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(capsys)
        self._monkeypatch = monkeypatch
        self._first = json.loads((plane.data / "first-access-key.json").read_text())
        self.data = ("--data", str(plane.data))

    def be(self, credentials: dict[str, str]) -> None:
        for name, value in (
            ("REHOST_ENDPOINT", self._first["Endpoint"]),
            ("REHOST_CA", self._first["CaFile"]),
            ("REHOST_ACCESS_KEY_ID", credentials["AccessKeyId"]),
            ("REHOST_ACCESS_KEY_SECRET", credentials["AccessKeySecret"]),
            ("REHOST_SECURITY_TOKEN", credentials.get("SecurityToken", "")),
        ):
            self._monkeypatch.setenv(name, value)


@pytest.fixture
def person(plane: ControlPlane, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(plane, capsys, monkeypatch)


def policy(folder: Path, *statements: dict[str, object]) -> str:
    path = folder / "policy.json"
    path.write_text(json.dumps({"Version": "1", "Statement": statements}))
    return str(path)


def test_a_user_gets_leave_step_by_step(person: Person, tmp_path: Path) -> None:
    person("user", "create", "ann", *person.data)
    key = person.json("key", "create", "--user", "ann", *person.data)
    person.be(key)
    person("source", "list", exits=1)
    assert "user/ann may not do smc:DescribeSourceServers" in person.err
    person("policy", "put", "read", policy(tmp_path, READ), *person.data)
    person("policy", "attach", "read", "user/ann", *person.data)
    assert person.json("source", "list") == []
    person("source", "delete", "s-1", exits=1)
    assert "user/ann" in person("policy", "list", *person.data)
    assert json.loads(person("policy", "show", "read", *person.data))["Statement"] == [READ]
    person("policy", "delete", "read", *person.data, exits=1)
    assert "user/ann" in person.err
    person("user", "delete", "ann", *person.data)
    person("source", "list", exits=3)
    assert "Specified access key is not found." in person.err


def test_a_bad_policy_is_told_of_by_its_place(person: Person, tmp_path: Path) -> None:
    file = policy(tmp_path, {**READ, "Effect": "Permit"})
    person("policy", "put", "bad", file, *person.data, exits=2)
    assert "Statement[0].Effect has to be Allow or Deny" in person.err
    person("policy", "put", "bad", str(tmp_path / "none"), *person.data, exits=2)
    person("policy", "attach", "bad", "user/nobody", *person.data, exits=3)


def test_accounts_are_apart(person: Person) -> None:
    made = person("account", "create", "web", *person.data).strip()
    assert made in person("account", "list", *person.data)
    key = person.json("key", "create", "--account", "web", *person.data)
    listed = {row["AccessKeyId"]: row["Account"] for row in person.json("key", "list", *person.data)}
    assert listed[key["AccessKeyId"]] == made
    person.be(key)
    assert person.json("source", "list") == []
    person("account", "delete", "web", *person.data)
    person("source", "list", exits=3)
    person("account", "delete", "web", *person.data, exits=3)


def test_a_temporary_key_works_until_its_end(person: Person, tmp_path: Path) -> None:
    person("role", "create", "reader", *person.data)
    person("policy", "attach", "AliyunSMCReadOnlyAccess", "role/reader", *person.data)
    made = person.json("key", "assume", "--role", "reader", "--seconds", "900", *person.data)
    assert 800 < times.parse(made["Expiration"]) - time.time() < 1000
    person.be(made)
    assert person.json("source", "list") == []
    person("source", "delete", "s-1", exits=1)
    person.be({**made, "SecurityToken": "x"})
    person("source", "list", exits=1)
    assert "Specified SecurityToken is malformed." in person.err
    narrow = policy(tmp_path, {**READ, "Action": "smc:DescribeReplicationJobs"})
    person.be(person.json("key", "assume", "--policy", narrow, *person.data))
    assert person.json("job", "list") == []
    person("source", "list", exits=1)
    assert made["AccessKeyId"] not in person("key", "list", *person.data)
    assert made["AccessKeyId"] in person("key", "list", "--temporary", *person.data)
    person("key", "delete", made["AccessKeyId"], *person.data)


def test_a_key_is_disabled_and_enabled(person: Person) -> None:
    key = person.json("key", "create", *person.data)
    person.be(key)
    person("key", "disable", key["AccessKeyId"], *person.data)
    person("source", "list", exits=1)
    person("key", "enable", key["AccessKeyId"], *person.data)
    assert person.json("source", "list") == []


def test_another_key_for_the_secrets_under_a_server_that_runs(person: Person) -> None:
    key = person.json("key", "create", *person.data)
    person.be(key)
    assert person.json("source", "list") == []
    person("key", "rotate", *person.data)
    assert person.json("source", "list") == []


def test_the_trail_is_listed_and_exported(person: Person) -> None:
    key = person.json("key", "create", *person.data)
    person.be(key)
    person("source", "list")
    person("job", "start", "j-00000000000000000000", exits=3)
    where = ("--where", f"key={key['AccessKeyId']}")
    deadline = time.monotonic() + 30
    while len(person.json("audit", "list", *where, *person.data)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    newest = person.json("audit", "list", *where, "--most", "1", *person.data)[0]
    assert newest["Action"] == "smc:StartReplicationJob"
    assert newest["Result"] == "InvalidJobId.NotFound"
    assert newest["SourceIp"] == "127.0.0.1"
    assert newest["Resources"] == ["acs:smc:*:default:replicationJob/j-00000000000000000000"]
    lines = person("audit", "export", *where, *person.data).splitlines()
    assert [json.loads(line)["Result"] for line in lines] == ["OK", "InvalidJobId.NotFound"]
    rows = list(
        csv.DictReader(io.StringIO(person("audit", "export", "--format", "csv", *where, *person.data)))
    )
    assert [row["Result"] for row in rows] == ["OK", "InvalidJobId.NotFound"]
    person("audit", "list", "--where", "nothing", *person.data, exits=2)
    person("audit", "list", "--where", "since=yesterday", *person.data, exits=2)


def test_limits_come_from_the_data_folder(tmp_path: Path, cache: Path) -> None:
    plane = ControlPlane(tmp_path, cache)
    (tmp_path / "limits.json").write_text('{"per_key": {"per_second": 0.01, "burst": 1}}')
    plane.start()
    try:
        plane.client().call("DescribeSourceServers")
        with pytest.raises(Exception, match="user flow control"):
            plane.client().call("DescribeSourceServers")
    finally:
        plane.close()


def test_what_is_secret_stands_nowhere(person: Person, plane: ControlPlane, tmp_path: Path) -> None:
    """Not in a log, a database or what belongs to it, nor in the trail: neither as it is nor encoded."""
    permanent = person.json("key", "create", *person.data)
    session = person.json("key", "assume", *person.data)
    code = person.json("code", "create", "--name", "secret", *person.data)["code"]
    first = json.loads((plane.data / "first-access-key.json").read_text())
    _misuse(first, session)
    for credentials in (permanent, session, {**permanent, "SecurityToken": session["SecurityToken"]}):
        person.be(credentials)
        person("source", "list", exits=int(credentials.get("AccessKeyId") != session["AccessKeyId"] and
                                           "SecurityToken" in credentials))  # fmt: skip
    person.be(permanent)
    hook = person.json("webhook", "add", "https://hooks.invalid/")
    person("webhook", "test", hook["WebhookId"], exits=1)
    person("key", "rotate", *person.data)
    plane.stop()
    exported = person("audit", "export", *person.data)
    assert session["AccessKeyId"] in exported
    secrets = [permanent["AccessKeySecret"], session["AccessKeySecret"], session["SecurityToken"], code]
    secrets += [first["AccessKeySecret"], hook["Secret"], hook["Secret"].removeprefix("whsec_")]
    files = [
        file for file in plane.data.rglob("*") if file.is_file() and file.name != "first-access-key.json"
    ]
    assert {"rehost.db", "dbos.db", "serve.log"} <= {file.name for file in files}
    content = {str(file): file.read_bytes() for file in files} | {"the trail": exported.encode()}
    for secret in secrets:
        for form in (secret.encode(), base64.b64encode(secret.encode()), secret.encode().hex().encode()):
            assert [name for name, text in content.items() if form in text] == []


def _misuse(first: dict[str, str], session: dict[str, str]) -> None:
    """Requests that go wrong while they carry something secret: in the query, in a body, in a header."""
    key = AccessKey(session["AccessKeyId"], "", "wrong", KeyStatus.ACTIVE, 0)
    parameters = v1_parameters(
        key, time.time(), "DescribeSourceServers", SecurityToken=session["SecurityToken"],
        AccessKeySecret=session["AccessKeySecret"],
    )  # fmt: skip
    signed = urlencode(sign_v1("POST", parameters, "wrong"))
    context = ssl.create_default_context(cafile=first["CaFile"])
    host, port = first["Endpoint"].removeprefix("https://").rsplit(":", 1)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    header = {"x-acs-security-token": session["SecurityToken"], "Authorization": session["AccessKeySecret"]}
    for target, body, headers in (
        (f"/?{signed}", "", {}),
        (f"/{session['SecurityToken']}?{signed}", "", {}),
        ("/", signed, form),
        ("/", signed + "&Action=%ff", form),
        ("/agent/v1/heartbeat", "{}", header),
        ("/agent/v1/register", session["SecurityToken"], header),
        ("/", "", header),
    ):
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
        connection.request("POST", target, body, headers)
        assert connection.getresponse().status >= 400
        connection.close()
