"""Many agents in one process: `python -m bench.fleet PORT[,PORT] AGENTS WARM [--ca FILE] [--carry-out]`.

Each has one connection, as a real agent has (`agent.heart`): heartbeats and long polls in turns. Those that
carry runs out have a second one and tell progress on it as `agent.reporter` does; their copies never end.

It says `warm` once all are there, and a line `heard SOURCE SECONDS RUN` (since 1970; RUN is - if there is
nothing to do) for each command that was delivered. Each line of its input it answers with a line of counts,
and it ends with its input.
"""

import argparse
import asyncio
import json
import math
import random
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.apiserver import secret, source_id
from rehost.agent.reporter import INTERVAL
from rehost.core.agentapi import ASSIGNMENT_WAIT, DiskProgress, Heartbeat, Phase, Progress
from rehost.core.clones import HEADER, Boot, Hardware
from rehost.core.round import RoundKind
from rehost.core.server import Disk
from rehost.wire.tls import SERVER_NAME, client_context
from tests.api.world import INVENTORY

RATE = ASSIGNMENT_WAIT - 1.0  # seconds between heartbeats
SMALL = replace(INVENTORY, disks=(Disk(0, "/dev/sda", 1 << 20),))  # of those that carry runs out
_TOTAL, _SPEED = 100 << 30, 30 << 20  # what these say of their disk: it takes an hour


@dataclass(slots=True)
class Counts:
    """Answers, by what was asked."""

    beats: int = 0
    polls: int = 0
    progress: int = 0
    failures: int = 0

    def line(self) -> str:
        return f"counts {self.beats} {self.polls} {self.progress} {self.failures}"


class Link:
    """An agent's kept connection; opened again after a failure."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self._port, self._tls = port, tls
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, request: bytes) -> dict[str, Any]:
        """The answer; OSError or IncompleteReadError, and the connection is closed."""
        try:
            if self._streams is None:
                name = SERVER_NAME if self._tls else None
                self._streams = await asyncio.open_connection(
                    "127.0.0.1", self._port, ssl=self._tls, server_hostname=name
                )
            return await _exchange(*self._streams, request)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


class Agent:
    def __init__(self, number: int, port: int, tls: ssl.SSLContext | None, counts: Counts) -> None:
        self._number, self._counts = number, counts
        self._boot = Boot(f"{number:032x}", Hardware(f"{number:032x}", ()))
        self._line, self._reports = Link(port, tls), Link(port, tls)
        self._reporter: asyncio.Task[None] | None = None
        self._version = -1

    async def live(self, first: float, body: bytes, carry_out: bool) -> None:
        """A poll is over when the next heartbeat is due."""
        await asyncio.sleep(first)
        due = 0.0
        while True:
            if time.monotonic() >= due and await self._beat(body):
                due = time.monotonic() + RATE * random.uniform(0.9, 1.0)
            await self._poll(max(1, math.ceil(due - time.monotonic())), carry_out)

    async def _beat(self, body: bytes) -> bool:
        if await self._ask(self._line, self._post("heartbeat", body)) is None:
            return False
        self._counts.beats += 1
        return True

    async def _poll(self, seconds: int, carry_out: bool) -> None:
        target = f"/agent/v1/assignment?version={self._version}&wait={seconds}"
        answer = await self._ask(self._line, self._head("GET", target))
        if answer is None:
            await asyncio.sleep(1)
            return
        self._counts.polls += 1
        wanted, before = answer["assignment"], self._version
        self._version = answer["version"]
        if self._version == before:
            return
        if before != -1:
            run = wanted["run"] if wanted else "-"
            print("heard", source_id(self._number), time.time(), run, flush=True)
        if carry_out:
            self._carry_out(wanted)

    def _carry_out(self, wanted: dict[str, Any] | None) -> None:
        if self._reporter is not None:
            self._reporter.cancel()
        self._reporter = asyncio.create_task(self._report(wanted)) if wanted else None

    async def _report(self, run: dict[str, Any]) -> None:
        began = time.monotonic()
        while True:
            body = msgspec.json.encode(_progress(run, time.monotonic() - began))
            if await self._ask(self._reports, self._post("progress", body)) is not None:
                self._counts.progress += 1
            await asyncio.sleep(INTERVAL)

    async def _ask(self, link: Link, request: bytes) -> dict[str, Any] | None:
        """None, and it counts, when there is no answer or a refusal."""
        try:
            return await link.exchange(request)
        except (OSError, asyncio.IncompleteReadError):
            self._counts.failures += 1
            return None

    def _post(self, what: str, body: bytes) -> bytes:
        return self._head("POST", f"/agent/v1/{what}", f"Content-Length: {len(body)}\r\n") + body

    def _head(self, method: str, target: str, more: str = "") -> bytes:
        return (
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {source_id(self._number)}:{secret(self._number)}\r\n"
            f"{HEADER}: {self._boot.header()}\r\n{more}\r\n"
        ).encode()


def _progress(run: dict[str, Any], seconds: float) -> Progress:
    done = min(int(seconds * _SPEED), _TOTAL - 1)
    disk = DiskProgress(
        0, _TOTAL, done, done, done, done, float(_SPEED), (_TOTAL - done) / _SPEED, float(_SPEED), 4096
    )
    return Progress(run["run"], run["generation"], Phase.COPYING, 1, RoundKind.BASELINE, (disk,))


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> dict[str, Any]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(head[:60])
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    answer: dict[str, Any] = json.loads(await reader.readexactly(length))
    return answer


async def run(ports: Sequence[int], agents: int, warm: float, ca: Path | None, carry_out: bool) -> None:
    """They come one by one, so that beats and polls are spread as they are in a fleet that has grown."""
    counts, dice = Counts(), random.Random(1)
    tls = client_context(ca.read_text()) if ca else None
    inventory = SMALL if carry_out else INVENTORY
    beat = msgspec.json.encode(Heartbeat(inventory, '{"cores":"2","memory":"2048"}', "0.1.0"))
    tasks = []
    for number in range(agents):
        agent = Agent(number, ports[number % len(ports)], tls, counts)
        tasks.append(asyncio.create_task(agent.live(dice.uniform(0, warm * 0.8), beat, carry_out)))
    await asyncio.sleep(warm)
    print("warm", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(counts.line(), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports")
    parser.add_argument("agents", type=int)
    parser.add_argument("warm", type=float)
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--carry-out", action="store_true")
    asked = parser.parse_args()
    ports = [int(port) for port in asked.ports.split(",")]
    uvloop.run(run(ports, asked.agents, asked.warm, asked.ca, asked.carry_out))
