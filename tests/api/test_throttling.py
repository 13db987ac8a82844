"""Too many requests: the gateway's codes, the header, and who is counted together."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from rehost.api import gateway
from rehost.api.gateway import Origin, Reply
from rehost.api.limits import Limits, load
from rehost.api.throttling import Throttle
from rehost.core.errors import InvalidValueError
from rehost.core.throttle import Rate
from rehost.store.audit import AuditFilter
from rehost.store.keys import AccessKey
from tests.api.signed import call, sign_v1, v1_parameters
from tests.api.test_http import ask
from tests.api.world import ACCOUNT, World, serving_on

SLOW = Rate(0.01, 2)


class Time:
    """Stands still unless a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(world: World) -> Time:
    """Each key may send two requests, then one every hundred seconds; of Describes, one."""
    made = Time()
    limits = Limits(
        per_key=SLOW, per_action=Rate(100, 100), actions={"DescribeReplicationJobs": Rate(0.01, 1)}
    )
    world.services = replace(world.services, throttle=Throttle(limits, made))
    return made


def answer(world: World, key: AccessKey, action: str, **business: str) -> Reply:
    signed = sign_v1("GET", v1_parameters(key, world.clock(), action, **business), key.secret)
    request = gateway.Request("GET", list(signed.items()), [], {}, b"")
    return gateway.answer(request, world.services, Origin("h"))


def code(world: World, key: AccessKey, action: str = "DescribeSourceServers", **business: str) -> str:
    return str(call(world, action, key, **business)[1].get("Code", "OK"))


def test_a_keys_requests(world: World, time: Time) -> None:
    assert [code(world, world.key) for _ in range(3)] == ["OK", "OK", "Throttling.User"]
    other = world.store.keys.create(ACCOUNT)
    assert code(world, other) == "OK"
    reply = answer(world, world.key, "DescribeSourceServers")
    assert (reply.status, reply.retry_after) == (400, 100_000)
    assert b"Request was denied due to user flow control." in reply.body
    time.now += 100
    assert code(world, world.key) == "OK"


def test_an_actions_requests(world: World, time: Time) -> None:
    assert code(world, world.key, "DescribeReplicationJobs") == "OK"
    reply = answer(world, world.key, "DescribeReplicationJobs")
    assert (reply.status, reply.retry_after) == (400, 100_000)
    assert b'"Throttling.Api"' in reply.body
    assert b"Request was denied due to api flow control." in reply.body


def test_temporary_keys_count_as_the_key_that_asked_for_them(world: World, time: Time) -> None:
    sessions = [world.store.keys.create_session(ACCOUNT, "", 900, issuer=world.key.id) for _ in range(3)]
    codes = [code(world, one.key, SecurityToken=one.token) for one in sessions]
    assert codes == ["OK", "OK", "Throttling.User"]


def test_a_wrong_signature_takes_no_tokens(world: World, time: Time) -> None:
    wrong = replace(world.key, secret="wrong")
    assert {code(world, wrong) for _ in range(5)} == {"SignatureDoesNotMatch"}
    assert code(world, world.key) == "OK"


def test_a_refused_request_was_not_carried_out_and_may_come_again(world: World, time: Time) -> None:
    for _ in range(2):
        code(world, world.key)
    signed = sign_v1(
        "GET", v1_parameters(world.key, world.clock(), "DescribeSourceServers"), world.key.secret
    )
    request = gateway.Request("GET", list(signed.items()), [], {}, b"")
    assert gateway.answer(request, world.services, Origin("h")).status == 400
    time.now += 100
    assert gateway.answer(request, world.services, Origin("h")).status == 200


def test_what_is_throttled_is_told_of_but_does_not_fill_the_audit_trail(world: World, time: Time) -> None:
    for _ in range(40):
        code(world, world.key)
    world.store.audit.flush()
    found = [entry.code for entry in world.store.audit.newest(AuditFilter(), 100)]
    assert (found.count("OK"), found.count("Throttling.User"), len(found)) == (2, 20, 22)


def test_the_header_over_http(world: World, time: Time) -> None:
    with serving_on(world.services) as port:
        for _ in range(3):
            parameters = v1_parameters(world.key, world.clock(), "DescribeSourceServers")
            signed = urlencode(sign_v1("GET", parameters, world.key.secret))
            status, reply, headers = ask(port, "GET", f"/?{signed}")
    assert (status, reply["Code"]) == (400, "Throttling.User")
    assert headers["x-acs-retry-after"] == "100000"


def test_keys_that_rest_are_forgotten(world: World) -> None:
    time = Time()
    throttle = Throttle(Limits(), time)
    for number in range(30_000):
        throttle.check(replace(world.key, id=str(number)), "a")
        time.now += 1
    assert len(throttle._full_at) <= 10_000


def test_limits_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "limits.json"
    assert load(file, ()) == Limits()
    file.write_text('{"per_key": {"per_second": 5, "burst": 10}, "replication_jobs": 3, "audit_days": 7}')
    assert load(file, ()) == Limits(per_key=Rate(5, 10), replication_jobs=3, audit_days=7)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "limits.json"),
        ('{"per_kye": {}}', "per_kye"),
        ('{"per_key": {"per_second": 0, "burst": 1}}', "per_second above 0"),
        ('{"per_key": {"per_second": 1, "burst": "many"}}', r"\$\.per_key\.burst"),
        ('{"replication_jobs": -1}', "replication_jobs"),
        ('{"access_tokens": 1001}', "access_tokens"),
        ('{"actions": {"DescribeAll": {"per_second": 1, "burst": 1}}}', "DescribeAll"),
        ("\xff", "limits.json"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "limits.json").write_text(text, "latin-1")
    with pytest.raises(InvalidValueError, match=says):
        load(tmp_path / "limits.json", ["DescribeSourceServers"])
