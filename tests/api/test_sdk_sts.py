"""Both official SDKs with temporary keys, in every signature that they know."""

import json
import urllib.request
import warnings
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

with warnings.catch_warnings():
    # Of what they bundle and import.
    warnings.simplefilter("ignore")
    from alibabacloud_smc20190601 import models
    from alibabacloud_smc20190601.client import Client
    from alibabacloud_tea_openapi.models import Config
    from alibabacloud_tea_util.models import RuntimeOptions
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkcore.auth.credentials import StsTokenCredential
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import CommonRequest
    from aliyunsdksmc.request.v20190601.DescribeSourceServersRequest import DescribeSourceServersRequest
    from Tea.exceptions import TeaException

from rehost.api.limits import Limits
from rehost.api.throttling import Throttle
from rehost.core.throttle import Rate
from rehost.store.principals import PrincipalKind
from tests.api.signed import sign_v1, v1_parameters
from tests.api.world import ACCOUNT, World, serving_on

pytestmark = [
    pytest.mark.filterwarnings(
        r"ignore:ssl\.(PROTOCOL_TLS|match_hostname\(\)) is deprecated:DeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning:aliyunsdkcore"),
]

Credentials = dict[str, str]


@pytest.fixture
def credentials(world: World, port: int) -> Credentials:
    """By AssumeRole over HTTP, as a script asks for them."""
    world.store.principals.create(ACCOUNT, PrincipalKind.ROLE, "reader")
    world.store.policies.attach(ACCOUNT, "role/reader", "AliyunSMCReadOnlyAccess")
    wanted = {"RoleArn": f"acs:ram::{ACCOUNT}:role/reader", "RoleSessionName": "sdk"}
    parameters = {**v1_parameters(world.key, world.clock(), "AssumeRole", **wanted), "Version": "2015-04-01"}
    url = f"http://127.0.0.1:{port}/?{urlencode(sign_v1('GET', parameters, world.key.secret))}"
    with urllib.request.urlopen(url, timeout=30) as response:
        return dict(json.load(response)["Credentials"])


def tea(credentials: Credentials, port: int, signature: str | None) -> Any:
    return Client(
        Config(
            access_key_id=credentials["AccessKeyId"], access_key_secret=credentials["AccessKeySecret"],
            security_token=credentials["SecurityToken"], endpoint=f"127.0.0.1:{port}", protocol="http",
            signature_algorithm=signature,
        )
    )  # fmt: skip


@pytest.mark.parametrize("signature", [None, "v2"])
def test_tea(credentials: Credentials, port: int, signature: str | None) -> None:
    client = tea(credentials, port, signature)
    assert client.describe_source_servers(models.DescribeSourceServersRequest()).body.total_count == 0
    with pytest.raises(TeaException) as raised:
        client.delete_source_server(models.DeleteSourceServerRequest(source_id="s-1"))
    assert (raised.value.code, raised.value.statusCode) == ("Forbidden.Unauthorized", 403)


@pytest.mark.parametrize("signature", [None, "v2"])
@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("x", "InvalidSecurityToken.Malformed"),
        ("CAIS" + "x" * 92, "InvalidSecurityToken.MismatchWithAccessKey"),
    ],
)
def test_tea_with_a_wrong_token(
    credentials: Credentials, port: int, signature: str | None, token: str, code: str
) -> None:
    with pytest.raises(TeaException) as raised:
        tea({**credentials, "SecurityToken": token}, port, signature).describe_source_servers(
            models.DescribeSourceServersRequest()
        )
    assert (raised.value.code, raised.value.statusCode) == (code, 400)


def classic(credentials: Credentials, port: int, request: Any, method: str = "POST") -> bytes:
    credential = StsTokenCredential(
        credentials["AccessKeyId"], credentials["AccessKeySecret"], credentials["SecurityToken"]
    )
    client = AcsClient(region_id="cn-hangzhou", credential=credential, port=port, auto_retry=False)
    request.set_endpoint("127.0.0.1")
    request.set_protocol_type("http")
    request.set_method(method)
    try:
        return bytes(client.do_action_with_exception(request))
    finally:
        client.session.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_classic(credentials: Credentials, port: int, method: str) -> None:
    assert b'"TotalCount":0' in classic(credentials, port, DescribeSourceServersRequest(), method)


def test_classic_after_the_end(world: World, credentials: Credentials, port: int) -> None:
    with world.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE access_keys SET expires = 1 WHERE expires IS NOT NULL")
    with pytest.raises(ServerException) as raised:
        classic(credentials, port, DescribeSourceServersRequest())
    assert raised.value.get_error_code() == "InvalidSecurityToken.Expired"


def test_classic_asks_for_a_temporary_key(world: World, credentials: Credentials, port: int) -> None:
    """AssumeRole as a CommonRequest, with what a script of the classic SDK sets."""
    request = CommonRequest(domain="127.0.0.1", version="2015-04-01", action_name="AssumeRole")
    request.add_query_param("RoleArn", f"acs:ram::{ACCOUNT}:role/reader")
    request.add_query_param("RoleSessionName", "again")
    client = AcsClient(world.key.id, world.key.secret, "cn-hangzhou", port=port, auto_retry=False)
    request.set_protocol_type("http")
    made = json.loads(client.do_action_with_exception(request))
    client.session.close()
    assert made["AssumedRoleUser"]["Arn"].endswith("role/reader/again")
    assert (
        tea(made["Credentials"], port, None)
        .describe_source_servers(models.DescribeSourceServersRequest())
        .body.total_count
        == 0
    )


@pytest.mark.parametrize("signature", [None, "v2"])
def test_tea_sees_that_it_is_throttled(world: World, signature: str | None) -> None:
    world.services = replace(world.services, throttle=Throttle(Limits(per_key=Rate(0.01, 1))))
    permanent = {"AccessKeyId": world.key.id, "AccessKeySecret": world.key.secret, "SecurityToken": ""}
    with serving_on(world.services) as port:
        client = tea(permanent, port, signature)
        client.describe_source_servers(models.DescribeSourceServersRequest())
        with pytest.raises(Exception, match="flow control") as raised:
            client.describe_source_servers_with_options(
                models.DescribeSourceServersRequest(), RuntimeOptions(autoretry=False)
            )
    assert raised.value.code == "Throttling.User"
