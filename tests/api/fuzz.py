"""Requests that nobody would write, found by coverage: python -m tests.api.fuzz SECONDS

A program, since the fuzzer takes its process over. It ends with status 0 when its time is over, and prints
how many requests it sent; with another one, and the request, when an answer was a 500 or there was none.
"""

import io
import random
import shutil
import sys
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from urllib.parse import urlencode

import atheris

with atheris.instrument_imports(include=["rehost.api", "rehost.core"]), redirect_stderr(io.StringIO()):
    from rehost.api import gateway, rpc
    from rehost.api.actions import ACTIONS
    from rehost.api.parameters import rows
    from rehost.api.sts import ACTIONS as STS_ACTIONS

from rehost.store.principals import PrincipalKind
from tests.api.signed import call, sign_v1, v1_parameters, v3_headers
from tests.api.world import ACCOUNT, World

LONGEST = 2048  # bytes that one request is made of
OF_BOTH = {**ACTIONS, **STS_ACTIONS}
NAMES = {name: [row.name for row in rows(action.parameters)] for name, action in OF_BOTH.items()}
VALUES = [
    "", "1", "20", "true", "Image", "sourceserver", "2030-01-01T00:00:00Z", '{"bandwidth_limit":1}',
    '{"Version":"1","Statement":[]}', "999999999999", "迁移", "/dev/sdb", "1_0",
]  # fmt: skip
LIFE = 500  # requests, after which all begins anew: requests delete what others need, and use quotas up

Wire = tuple[str, bytes, dict[str, str], bytes]  # method, query, headers, body


class Requests:
    """Requests made of a fuzzer's bytes: signed ones with odd parameters, and odd ones altogether."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._world = self._made()
        self._good = self._resources()

    def answer(self, data: bytes) -> gateway.Reply:
        self._count += 1
        if self._count % LIFE == 0:
            self._world.store.close()
            self._world = self._made()
            self._good = self._resources()
        choose = atheris.FuzzedDataProvider(data)
        make = (self._signed_v1, self._signed_v3, self._odd_headers, self._raw)
        method, query, headers, body = make[choose.ConsumeIntInRange(0, len(make) - 1)](choose)
        try:
            request = rpc.decode(method, query, headers, body)
        except rpc.ApiError as error:
            return gateway.refuse(error, "json", "", "")
        return gateway.answer(request, self._world.services, gateway.Origin("localhost", "127.0.0.1"))

    def _made(self) -> World:
        folder = self._folder / "world"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        world = World.make(folder)
        world.store.principals.create(ACCOUNT, PrincipalKind.ROLE, "reader")
        return world

    def _resources(self) -> dict[str, str]:
        """Parameters with which most actions do something."""
        name = "one"
        source, free = (self._world.source(name=name).id for _ in range(2))
        made = {"RegionId": "cn-a", "SourceId": source, "Name": name, "Count": "1", "TimeToLiveInDays": "1"}
        for action, one in (
            ("CreateReplicationJob", "JobId"),
            ("CreateWorkgroup", "WorkgroupId"),
            ("CreateAccessToken", "AccessTokenId"),
        ):
            made[one] = call(self._world, action, **made)[1][one]
        role = {"RoleArn": f"acs:ram::{ACCOUNT}:role/reader", "RoleSessionName": name}
        return {**made, **role, "SourceId": free, "ResourceType": "sourceserver", "ResourceId.1": free}

    def _signed_v1(self, choose: atheris.FuzzedDataProvider) -> Wire:
        action = self._action(choose)
        wanted = {**self._wanted(choose, action), "Format": choose.PickValueInList(["json", "xml"])}
        parameters = v1_parameters(self._world.key, self._world.clock(), action, **wanted)
        return "GET", urlencode(sign_v1("GET", parameters, self._world.key.secret)).encode(), {}, b""

    def _signed_v3(self, choose: atheris.FuzzedDataProvider) -> Wire:
        action = self._action(choose)
        query = self._wanted(choose, action)
        body = choose.ConsumeBytes(64)
        version = gateway.VERSION if action in ACTIONS else gateway.STS_VERSION
        headers = v3_headers(
            self._world.key, self._world.clock(), action, query, body,
            **{"x-acs-version": version, "content-type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        return "POST", urlencode(query).encode(), headers, body

    def _odd_headers(self, choose: atheris.FuzzedDataProvider) -> Wire:
        headers = v3_headers(self._world.key, self._world.clock(), self._action(choose), {})
        name = choose.PickValueInList(sorted(headers))
        headers[name] = headers[name][: choose.ConsumeIntInRange(0, 120)] + _header(choose, 60)
        return "POST", b"", headers, b""

    def _raw(self, choose: atheris.FuzzedDataProvider) -> Wire:
        headers = {"content-type": "application/x-www-form-urlencoded", "authorization": _header(choose, 80)}
        query = choose.ConsumeBytes(200)
        return "POST", query, headers, choose.ConsumeBytes(LONGEST)

    def _action(self, choose: atheris.FuzzedDataProvider) -> str:
        return str(choose.PickValueInList(list(OF_BOTH)))

    def _wanted(self, choose: atheris.FuzzedDataProvider, action: str) -> dict[str, str]:
        begin = self._good if choose.ConsumeIntInRange(0, 9) else {}
        more = range(choose.ConsumeIntInRange(0, 6))
        return {**begin, **dict(self._parameter(choose, action) for _ in more)}

    def _parameter(self, choose: atheris.FuzzedDataProvider, action: str) -> tuple[str, str]:
        """One of the action's nine times of ten, with a value that makes sense somewhere half the time."""
        known = NAMES[action] if choose.ConsumeIntInRange(0, 9) else []
        name = choose.PickValueInList(known) if known else _text(choose, 40)
        while ".N" in name:
            name = name.replace(".N", f".{choose.ConsumeIntInRange(-1, 3)}", 1)
        if choose.ConsumeBool():
            return name, _text(choose, 80)
        return name, choose.PickValueInList([*VALUES, *self._good.values()])


def _text(choose: atheris.FuzzedDataProvider, most: int) -> str:
    return str(choose.ConsumeUnicodeNoSurrogates(choose.ConsumeIntInRange(0, most)))


def _header(choose: atheris.FuzzedDataProvider, most: int) -> str:
    """Any bytes, as the HTTP server hands them over."""
    return bytes(choose.ConsumeBytes(choose.ConsumeIntInRange(0, most))).decode(errors="surrogateescape")


def _beginnings(folder: Path) -> Path:
    """What the fuzzer begins with: enough bytes to choose all of a request from."""
    made = folder / "beginnings"
    made.mkdir()
    chance = random.Random(0)
    for number in range(100):
        (made / str(number)).write_bytes(chance.randbytes(LONGEST // 4))
    return made


def main(seconds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        requests = Requests(Path(folder))

        def once(data: bytes) -> None:
            reply = requests.answer(data)
            assert reply.status < 500, (reply.body, data)

        flags = [
            f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-len_control=0", "-print_final_stats=1",
            "-rss_limit_mb=0", f"-artifact_prefix={folder}/",
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *flags, str(_beginnings(Path(folder)))], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
