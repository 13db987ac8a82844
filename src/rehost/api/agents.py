"""The agents' API: registration, heartbeats, assignments by long poll, progress, results, files."""

import hashlib
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
from starlette.routing import Route

from rehost.api import arrival
from rehost.api.services import Services
from rehost.core import agentapi
from rehost.core.agentapi import ASSIGNMENT_WAIT, AssignmentAnswer
from rehost.core.errors import (
    ActivationCodeError,
    AgentIdentityError,
    DatabaseUnavailableError,
    InvalidValueError,
    NotFoundError,
    RehostError,
    RequestTimeoutError,
    code_of,
)
from rehost.store.servers import SourceServer

MAX_BODY = 2 << 20  # bytes; an inventory of hundreds of disks is far below
LONGEST_SYSTEM_INFO = 1024  # characters

_SECRET = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_STATUS: tuple[tuple[type[RehostError], int], ...] = (
    (AgentIdentityError, 401),
    (ActivationCodeError, 403),
    (NotFoundError, 404),
    (InvalidValueError, 400),
    (RequestTimeoutError, 408),
    (DatabaseUnavailableError, 503),
)

_log = structlog.get_logger()
T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


def routes(services: Services) -> list[Route]:
    agents = Agents(services)
    files = AgentFiles(services)
    table: tuple[tuple[str, str, Endpoint], ...] = (
        ("GET", "/install.sh", files.install_script),
        ("GET", "/rehost-agent", files.agent),
        ("GET", "/rehost-agent.sha256", files.checksum),
        ("POST", "/v1/register", agents.register),
        ("POST", "/v1/heartbeat", agents.heartbeat),
        ("GET", "/v1/assignment", agents.assignment),
        ("POST", "/v1/progress", agents.progress),
        ("POST", "/v1/result", agents.result),
    )
    return [Route(path, _answered(endpoint), methods=[method]) for method, path, endpoint in table]


class Agents:
    """What the agents of source servers say and ask."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def register(self, request: Request) -> Response:
        asked = await _read(request, agentapi.Register)
        if not _SECRET.fullmatch(asked.secret):
            raise InvalidValueError("the agent's secret is not 64 hexadecimal digits", "update the agent")
        server = await _call(self._store.servers.register, asked)
        return _json(agentapi.Registered(server.id, server.heartbeat_rate))

    async def heartbeat(self, request: Request) -> Response:
        server = await self._who(request)
        beat = await _read(request, agentapi.Heartbeat)
        if len(beat.system_info) > LONGEST_SYSTEM_INFO:
            raise InvalidValueError(
                f"the system information has {len(beat.system_info)} characters",
                f"{LONGEST_SYSTEM_INFO} are allowed",
            )
        await _call(self._store.servers.heartbeat, server.id, beat)
        return _json(agentapi.HeartbeatAnswer(server.heartbeat_rate))

    async def assignment(self, request: Request) -> Response:
        """Held until the version is another one than the agent's, at most for the time that it asks for."""
        server = await self._who(request)
        version, seconds = _number(request, "version", -1), _number(request, "wait", 0)
        loop_time = anyio.current_time
        end = loop_time() + min(max(seconds, 0), ASSIGNMENT_WAIT)
        wakeups = self._services.wakeups
        with wakeups.waiting(server.id, version) as waiter:
            while True:
                answer = await _call(self._assignment, server.id)
                if answer.version != version or wakeups.closed or loop_time() >= end:
                    return _json(answer)
                await waiter.wait(end - loop_time())

    def _assignment(self, source_id: str) -> AssignmentAnswer:
        try:
            version, assignment = self._store.servers.assignment(source_id)
            return AssignmentAnswer(version, assignment, self._store.jobs.repeated(source_id))
        except NotFoundError:  # deleted since the poll began
            raise AgentIdentityError("the source server was deleted", "register the agent again") from None

    async def progress(self, request: Request) -> Response:
        server = await self._who(request)
        told = await _read(request, agentapi.Progress)
        await _call(self._store.runs.record_progress, server.id, told)
        return _json({})

    async def result(self, request: Request) -> Response:
        """A result of an older generation is of no use to anybody any more: accepted, so that it is not
        repeated, and dropped."""
        server = await self._who(request)
        told = await _read(request, agentapi.Result)
        if (told.report is None) == (told.error is None):
            raise InvalidValueError("a result has either a report or an error", "update the agent")
        await _call(self._services.lifecycle.result, server.id, told)
        return _json({})

    async def _who(self, request: Request) -> SourceServer:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        source_id, _, secret = credentials.strip().partition(":")
        if scheme.lower() != "bearer" or not source_id or not secret:
            raise AgentIdentityError("the request has no agent's identity", "register the agent")
        return await _call(self._store.servers.authenticate, source_id, secret)


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


async def _read(request: Request, kind: type[T]) -> T:
    body = bytearray()
    async for part in arrival.parts(request):
        body += part
        if len(body) > MAX_BODY:
            raise InvalidValueError(f"the request has more than {MAX_BODY} bytes", "update the agent")
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
