"""The official SDKs as one kind of client: an action by its name, parameters by theirs, an answer.

Each call goes the whole way that a program's does: the SDK's own request class or model, its own signature,
and its own reading of the reply.
"""

import asyncio
import importlib
import json
import pkgutil
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what they import
    import aliyunsdksmc.request.v20190601 as classic_requests
    from alibabacloud_smc20190601 import models
    from alibabacloud_smc20190601.client import Client
    from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
    from alibabacloud_tea_util.models import RuntimeOptions
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import CommonRequest
    from Tea.exceptions import TeaException

from rehost.store.keys import AccessKey

VERSION = "2019-06-01"
ACTIONS = frozenset(
    module.name.removesuffix("Request") for module in pkgutil.iter_modules(classic_requests.__path__)
)
"""What the SDKs know by name; others they can call all the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    code: str = ""  # of an error
    fields: tuple[tuple[str, str], ...] = ()  # the reply's names and texts, in order

    def all(self, name: str) -> list[str]:
        return [text for known, text in self.fields if known == name]

    def first(self, name: str) -> str:
        return self.all(name)[0]


@dataclass(frozen=True, slots=True)
class Endpoint:
    port: int
    ca: Path | None  # of HTTPS; None: plain HTTP


class Sdk(Protocol):
    def __call__(self, to: Endpoint, key: AccessKey, action: str, **wanted: Any) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Classic:
    """aliyun-python-sdk-smc: V1 signatures."""

    method: str
    form: str  # of replies

    def __call__(self, to: Endpoint, key: AccessKey, action: str, **wanted: Any) -> Answer:
        request = self._request(action, wanted)
        request.set_endpoint("127.0.0.1")
        request.set_protocol_type("https" if to.ca else "http")
        request.set_method(self.method)
        request.set_accept_format(self.form)
        verify = str(to.ca) if to.ca else None
        client = AcsClient(key.id, key.secret, "cn-hangzhou", port=to.port, verify=verify, auto_retry=False)
        try:
            return self._answer(client, request)
        finally:
            client.session.close()

    def _request(self, action: str, wanted: dict[str, Any]) -> Any:
        if action not in ACTIONS:
            request = CommonRequest(domain="127.0.0.1", version=VERSION, action_name=action)
            for name, value in wanted.items():
                request.add_query_param(name, value)
            return request
        module = importlib.import_module(f"{classic_requests.__name__}.{action}Request")
        request = getattr(module, f"{action}Request")()
        for name, value in wanted.items():
            if name == "RegionId":  # always its client's own
                continue
            getattr(request, f"set_{name}s" if isinstance(value, list) else f"set_{name}")(value)
        return request

    def _answer(self, client: Any, request: Any) -> Answer:
        if self.form == "XML":
            status, _, body = client.get_response(request)
            root = ElementTree.fromstring(body)
            fields = tuple((item.tag, item.text or "") for item in root.iter() if not len(item))
            return Answer(status, root.findtext("Code", "") if status != 200 else "", fields)
        try:
            reply = json.loads(client.do_action_with_exception(request))
        except ServerException as error:
            return Answer(error.get_http_status(), error.get_error_code())
        return Answer(200, fields=tuple(_flat(reply)))


@dataclass(frozen=True, slots=True)
class Tea:
    """alibabacloud-smc20190601, by its models."""

    signature: str | None  # None: ACS3, "v2": V1
    waits: bool  # else it is called asynchronously

    def __call__(self, to: Endpoint, key: AccessKey, action: str, **wanted: Any) -> Answer:
        client = Client(
            Config(
                access_key_id=key.id, access_key_secret=key.secret, endpoint=f"127.0.0.1:{to.port}",
                protocol="https" if to.ca else "http", signature_algorithm=self.signature,
            )
        )  # fmt: skip
        options = RuntimeOptions(ca=str(to.ca) if to.ca else None)
        name, arguments = self._call(action, wanted)
        try:
            if self.waits:
                reply = getattr(client, name)(*arguments, options)
            else:
                reply = asyncio.run(getattr(client, f"{name}_async")(*arguments, options))
        except TeaException as error:
            return Answer(error.statusCode, error.code)
        body = reply["body"] if isinstance(reply, dict) else reply.body.to_map()
        return Answer(200, fields=tuple(_flat(body)))

    def _call(self, action: str, wanted: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        if action not in ACTIONS:
            how = Params(
                action=action, version=VERSION, protocol="HTTPS", pathname="/", method="POST",
                auth_type="AK", style="RPC", req_body_type="formData", body_type="json",
            )  # fmt: skip
            return "call_api", (how, OpenApiRequest(query=wanted))
        request = getattr(models, f"{action}Request")().from_map(wanted)
        return f"{re.sub('(?<!^)(?=[A-Z])', '_', action).lower()}_with_options", (request,)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, name)
    else:
        yield name, str(value)


SDKS: dict[str, Sdk] = {
    **{f"classic-{method}-{form}": Classic(method, form) for method in ("GET", "POST")
       for form in ("JSON", "XML")},
    **{f"tea-{name}-{'sync' if waits else 'async'}": Tea(signature, waits)
       for name, signature in (("ACS3", None), ("V1", "v2")) for waits in (True, False)},
}  # fmt: skip
