"""The agents' API: registration, heartbeats, assignments by long poll, progress, results, files."""

import asyncio
import hashlib
import random
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from rehost.api import arrival
from rehost.api.agentidentity import Identities
from rehost.api.batches import HALF, SOON, Batches
from rehost.api.heartbeats import Heartbeats
from rehost.api.services import Services
from rehost.api.wakeups import TICK, Waiter
from rehost.core import agentapi
from rehost.core.agentapi import ASSIGNMENT_WAIT, AssignmentAnswer
from rehost.core.errors import (
    ActivationCodeError,
    AgentIdentityError,
    BootChangedError,
    ClonedAgentError,
    DatabaseUnavailableError,
    InvalidValueError,
    NotFoundError,
    RehostError,
    RequestTimeoutError,
    code_of,
)
from rehost.store.serverrow import HEARTBEAT_RATE

MAX_BODY = 2 << 20  # bytes; an inventory of hundreds of disks is far below
LONGEST_SYSTEM_INFO = 1024  # characters

_SECRET = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_STATUS: tuple[tuple[type[RehostError], int], ...] = (
    (AgentIdentityError, 401),
    (ActivationCodeError, 403),
    (ClonedAgentError, 409),
    (BootChangedError, 503),
    (NotFoundError, 404),
    (InvalidValueError, 400),
    (RequestTimeoutError, 408),
    (DatabaseUnavailableError, 503),
)

_log = structlog.get_logger()
T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]
Looks = Batches[str, None, dict[str, AssignmentAnswer]]


def endpoints(services: Services) -> dict[str, tuple[str, Endpoint]]:
    """The method and what answers it, by path."""
    agents = Agents(services)
    files = AgentFiles(services)
    table: tuple[tuple[str, str, Endpoint], ...] = (
        ("GET", "/agent/install.sh", files.install_script),
        ("GET", "/agent/rehost-agent", files.agent),
        ("GET", "/agent/rehost-agent.sha256", files.checksum),
        ("POST", "/agent/v1/register", agents.register),
        ("POST", "/agent/v1/heartbeat", agents.heartbeat),
        ("GET", "/agent/v1/assignment", agents.assignment),
        ("POST", "/agent/v1/progress", agents.progress),
        ("POST", "/agent/v1/result", agents.result),
    )
    return {path: (method, _answered(endpoint)) for method, path, endpoint in table}


class Agents:
    """What the agents of source servers say and ask."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store
        self._identities = Identities(self._store.clones.check)
        self._heartbeats = Heartbeats(self._store.servers.heartbeats)
        self._progress = Batches(self._store.copies.record)
        self._looks: Looks = Batches(self._store.assignments.answers, SOON, HALF)
        self._answers: dict[str, AssignmentAnswer] = {}  # by source id, as given last

    async def register(self, request: Request) -> Response:
        asked = await _read(request, agentapi.Register)
        if not _SECRET.fullmatch(asked.secret):
            raise InvalidValueError("the agent's secret is not 64 hexadecimal digits", "update the agent")
        server = await _call(self._store.servers.register, asked)
        await self._identities.registered(server.id, asked.secret, request)
        return _json(agentapi.Registered(server.id, server.heartbeat_rate))

    async def heartbeat(self, request: Request) -> Response:
        source_id = await self._identities.known(request)
        if not await self._heartbeats.take(source_id, await _body(request), _heartbeat):
            raise self._deleted(source_id)
        return _json(agentapi.HeartbeatAnswer(HEARTBEAT_RATE))

    async def assignment(self, request: Request) -> Response:
        """Held until the version is another one than the agent's, at most for the time that it asks for."""
        source_id = await self._identities.known(request)
        version, seconds = _number(request, "version", -1), _number(request, "wait", 0)
        end = anyio.current_time() + min(max(seconds, 0), ASSIGNMENT_WAIT)
        with self._services.wakeups.waiting(source_id, version) as waiter:
            return _json(await self._changed(source_id, waiter, end))

    async def _changed(self, source_id: str, waiter: Waiter, end: float) -> AssignmentAnswer:
        """An answer that was given before stands for a look into the database, as long as the ticker of
        `wakeups` does not say that there is another version: it looks twice a second."""
        hasty = end - anyio.current_time() < 2 * TICK  # the poll may be over before the ticker has looked
        while True:
            answer = self._answers.get(source_id)
            if answer is None or hasty or waiter.told or answer.version != waiter.version:
                answer = self._answers[source_id] = await self._assignment(source_id)
            closing = self._services.wakeups.closed
            if answer.version != waiter.version or closing or anyio.current_time() >= end:
                return answer
            await waiter.wait(end - anyio.current_time())

    async def _assignment(self, source_id: str) -> AssignmentAnswer:
        answer = (await self._looks.put(source_id, None)).get(source_id)
        if answer is None:  # deleted since the poll began
            raise self._deleted(source_id)
        return answer

    def _deleted(self, source_id: str) -> AgentIdentityError:
        self._identities.forget(source_id)
        self._answers.pop(source_id, None)
        return AgentIdentityError("the source server was deleted", "register the agent again")

    async def progress(self, request: Request) -> Response:
        """What does not count may be of a source server that is gone: its agent has to hear that."""
        source_id = await self._identities.known(request)
        told = await _read(request, agentapi.Progress)
        if source_id not in await self._progress.put(source_id, told):
            await self._identities.verified(request)
        # They come again a second after the answer: not all together that were written together.
        await asyncio.sleep(random.uniform(0.0, self._progress.pause))
        return _json({})

    async def result(self, request: Request) -> Response:
        """A result of an older generation is of no use to anybody any more: accepted, so that it is not
        repeated, and dropped."""
        source_id = await self._identities.verified(request)
        told = await _read(request, agentapi.Result)
        if (told.report is None) == (told.error is None):
            raise InvalidValueError("a result has either a report or an error", "update the agent")
        await _call(self._services.lifecycle.result, source_id, told)
        return _json({})


class AgentFiles:
    """What a source server downloads before it has an agent."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def install_script(self, request: Request) -> Response:
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):  # it goes into a shell script
            raise InvalidValueError(f"the Host header {host!a} is not a host name", "call it by its name")
        script = await _call(self._services.install_script, f"{request.url.scheme}://{host}")
        return PlainTextResponse(script)

    async def agent(self, request: Request) -> Response:
        path = await _call(self._services.agent_file)
        return FileResponse(path, media_type="application/octet-stream", filename="rehost-agent")

    async def checksum(self, request: Request) -> Response:
        """As sha256sum writes it."""
        path = await _call(self._services.agent_file)
        return PlainTextResponse(f"{await _call(_sha256, path)}  rehost-agent\n")


def _answered(endpoint: Endpoint) -> Endpoint:
    """Errors as the agents read them: {code, what, advice}."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except RehostError as error:
            status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
            if status == 500:
                _log.exception("an agent's request failed", path=request.url.path)
            return _json(agentapi.ErrorReport(code_of(error), error.what, error.advice), status)

    return answer


def _heartbeat(body: bytes) -> agentapi.Heartbeat:
    """One is written together with others', so it must not be what the database refuses."""
    beat = _decode(body, agentapi.Heartbeat)
    if "\0" in beat.system_info + beat.agent_version + beat.error_code + beat.error_msg:
        raise InvalidValueError("the heartbeat has a NUL character", "update the agent")
    if len(beat.system_info) > LONGEST_SYSTEM_INFO:
        raise InvalidValueError(
            f"the system information has {len(beat.system_info)} characters",
            f"{LONGEST_SYSTEM_INFO} are allowed",
        )
    return beat


async def _read(request: Request, kind: type[T]) -> T:
    return _decode(await _body(request), kind)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in arrival.parts(request):
        body += part
        if len(body) > MAX_BODY:
            raise InvalidValueError(f"the request has more than {MAX_BODY} bytes", "update the agent")
    return bytes(body)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidValueError(
            f"the request is not a {kind.__name__}: {error}",
            "agent and control plane differ: update the agent",
        ) from None


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "") or str(default)
    try:
        return int(text[:20])
    except ValueError:
        raise InvalidValueError(f"{name}={text!a} is not a number", "update the agent") from None


async def _call(function: Callable[..., T], *arguments: Any) -> T:
    """Blocking work, off the event loop."""
    return await anyio.to_thread.run_sync(partial(function, *arguments))


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
