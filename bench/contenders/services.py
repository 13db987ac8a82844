"""Servers of signed calls at the same work: rehost's own, and moto's of another cloud's API."""

import datetime
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

from bench.apiserver import CREATING, EACH, source_id
from bench.load import Connection
from rehost.api import signature, times

MOTO = "moto[ec2,server]==5.2.5"
CALLS = ("list", "filter", "jobs", "create")
SERVER_CORE, CLIENT_CORE = "0", 1


class Service(Protocol):
    """A server that runs, with its rows in it."""

    name: str
    port: int
    pid: int

    def request(self, call: str) -> bytes:
        """A signed request, never the same twice; b"" where the service has no such call, or no more."""


class RehostApi:
    """One process of `bench.apiserver`."""

    name = "rehost"

    def __init__(self, port: int, pid: int, callers: list[tuple[str, str]], rows: int) -> None:
        self.port, self.pid, self._rows = port, pid, rows
        self._all, *self._creating = callers
        self._created = 0

    def request(self, call: str) -> bytes:
        asked: dict[str, dict[str, str]] = {
            "list": {"Action": "DescribeSourceServers", "PageSize": "50"},
            "filter": {"Action": "DescribeReplicationJobs", "PageSize": "50", "Status": "Ready"},
            "jobs": {"Action": "DescribeReplicationJobs", "PageSize": "50"},
        }
        if call != "create":
            return self._signed(self._all, asked[call])
        place, self._created = self._created, self._created + 1
        if place >= len(CREATING) * EACH:
            return b""
        caller = self._creating[place // EACH]
        create = {"Action": "CreateReplicationJob", "RegionId": "local"}
        return self._signed(caller, {**create, "SourceId": source_id(self._rows + place)})

    def _signed(self, caller: tuple[str, str], parameters: Mapping[str, str]) -> bytes:
        complete = {
            **parameters, "Version": "2019-06-01", "Format": "JSON", "AccessKeyId": caller[0],
            "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "SignatureNonce": str(uuid.uuid4()),
            "Timestamp": times.write(time.time()),
        }  # fmt: skip
        text = signature.string_to_sign_v1("GET", list(complete.items()))
        complete["Signature"] = signature.sign_v1(text, caller[1])
        return f"GET /?{urlencode(complete)} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()


class MotoApi:
    """moto's server with instances of EC2: it is asked in signed requests, and does not check them."""

    name = "moto"

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        self.image = ""

    def request(self, call: str) -> bytes:
        asked: dict[str, dict[str, str]] = {
            "list": {"Action": "DescribeInstances", "MaxResults": "50"},
            "filter": {
                "Action": "DescribeInstances", "MaxResults": "50", "Filter.1.Name": "instance-type",
                "Filter.1.Value.1": "t2.small",
            },
            "create": {
                "Action": "RunInstances", "ImageId": self.image, "MinCount": "1", "MaxCount": "1",
                "InstanceType": "t2.micro",
            },
        }  # fmt: skip
        return self.signed(asked[call]) if call in asked else b""

    def signed(self, parameters: Mapping[str, str]) -> bytes:
        """AWS signature version 4."""
        body = urlencode({**parameters, "Version": "2016-11-15"})
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        host, scope = f"127.0.0.1:{self.port}", f"{now[:8]}/us-east-1/ec2/aws4_request"
        digest = hashlib.sha256(body.encode()).hexdigest()
        canonical = f"POST\n/\n\nhost:{host}\nx-amz-date:{now}\n\nhost;x-amz-date\n{digest}"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"AWS4secret"
        for part in (now[:8], "us-east-1", "ec2", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        proof = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return (
            f"POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Date: {now}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope},"
            f" SignedHeaders=host;x-amz-date, Signature={proof}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


@contextmanager
def rehost(folder: Path, rows: int, *options: str) -> Iterator[RehostApi]:
    command = [sys.executable, "-m", "bench.apiserver", str(folder), str(rows), "--creating", *options]
    with _pinned(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield RehostApi(told["port"], process.pid, told["callers"], rows)


@contextmanager
def moto(cache: Path, port: int, rows: int) -> Iterator[MotoApi]:
    """In an environment of its own, made on the first call; one instance in a hundred is of another type."""
    program = cache / "bench-moto" / "bin" / "moto_server"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(cache / "bench-moto")], check=True)
        subprocess.run([str(program.with_name("pip")), "install", "--quiet", MOTO], check=True)
    environment = {**os.environ, "MOTO_ENABLE_ISO_REGIONS": "false", "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
    with _pinned(
        [str(program), "-p", str(port)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        service = MotoApi(port, process.pid)
        _register_image(service)
        for kind, count in (("t2.small", rows // 100), ("t2.micro", rows - rows // 100)):
            for first in range(0, count, 500):
                number = str(min(500, count - first))
                asked = {"Action": "RunInstances", "ImageId": service.image, "InstanceType": kind}
                Connection(port).exchange(service.signed({**asked, "MinCount": number, "MaxCount": number}))
        yield service


def _register_image(service: MotoApi) -> None:
    """An id of the right form is enough for moto."""
    service.image = "ami-12c6146b"
    for _ in range(100):
        try:
            Connection(service.port).exchange(service.signed({"Action": "DescribeRegions"}))
            return
        except OSError:
            time.sleep(0.3)
    raise TimeoutError("moto's server does not answer")


@contextmanager
def _pinned(command: list[str], **named: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], **named)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
