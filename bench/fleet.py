"""Many agents in one process: `python -m bench.fleet PORT AGENTS WARM SECONDS`.

Each has two connections, as a real agent has: a heartbeat every 30 s on one, long polls on the other. It says
`warm` once all are there, a line `source id, seconds since 1970` for each command that was delivered, and at
the end how many heartbeats and polls were answered since then, and how many requests failed.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any

import msgspec

from bench.apiserver import secret, source_id
from rehost.core.agentapi import ASSIGNMENT_WAIT, Heartbeat
from tests.api.world import INVENTORY

RATE = 30.0  # seconds between heartbeats
_BODY = msgspec.json.encode(Heartbeat(INVENTORY, '{"cores":"2","memory":"2048"}', "0.1.0"))


class Fleet:
    def __init__(self, port: int) -> None:
        self._port = port
        self.beats = self.polls = self.failures = 0

    async def heart(self, number: int, first: float) -> None:
        await asyncio.sleep(first)
        head = self._head("POST", "/agent/v1/heartbeat", number, f"Content-Length: {len(_BODY)}\r\n")
        while True:
            began = time.monotonic()
            try:
                await self._once(head + _BODY)
                self.beats += 1
            except (OSError, asyncio.IncompleteReadError):
                self.failures += 1
            await asyncio.sleep(max(0.0, RATE - (time.monotonic() - began)))

    async def _once(self, request: bytes) -> None:
        """On a connection of its own: the server closes one that rests for as long as between two beats."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await _exchange(reader, writer, request)
        finally:
            writer.close()

    async def poll(self, number: int, first: float) -> None:
        await asyncio.sleep(first)
        version = -1
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                while True:
                    target = f"/agent/v1/assignment?version={version}&wait={ASSIGNMENT_WAIT}"
                    answer = await _exchange(reader, writer, self._head("GET", target, number))
                    self.polls += 1
                    if version not in (-1, answer["version"]):
                        print(source_id(number), time.time(), flush=True)
                    version = answer["version"]
            except (OSError, asyncio.IncompleteReadError):
                self.failures += 1
                await asyncio.sleep(1)

    def _head(self, method: str, target: str, number: int, more: str = "") -> bytes:
        return (
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {source_id(number)}:{secret(number)}\r\n{more}\r\n"
        ).encode()


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


async def run(port: int, agents: int, warm: float, seconds: float) -> None:
    """Beats and polls are spread over the time between two of them, as they are in a fleet that has grown."""
    fleet, dice = Fleet(port), random.Random(1)
    tasks = []
    for number in range(agents):
        tasks.append(asyncio.create_task(fleet.poll(number, dice.uniform(0, warm * 0.6))))
        tasks.append(asyncio.create_task(fleet.heart(number, dice.uniform(0, RATE))))
    await asyncio.sleep(warm)
    print("warm", flush=True)
    before = (fleet.beats, fleet.polls, fleet.failures)
    await asyncio.sleep(seconds)
    print("over", fleet.beats - before[0], fleet.polls - before[1], fleet.failures - before[2], flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
