"""The ASGI application: the SMC API on `/`, the agents' API under `/agent/`."""

import anyio.to_thread
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from rehost.api import arrival, errors, gateway, rpc
from rehost.api.agents import endpoints
from rehost.api.errors import ApiError
from rehost.api.gateway import Origin, Reply
from rehost.api.services import Services
from rehost.core.errors import RequestTimeoutError

METHODS = ("GET", "POST")


class App:
    """Paths are looked up, not matched one after the other through layers of middleware: that was a third of
    what ten thousand agents cost (docs/decisions/0027)."""

    def __init__(self, services: Services) -> None:
        self._smc = Smc(services)
        self._agents = endpoints(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = origin_form(scope)
        agents = scope["path"].startswith("/agent/")
        answer = await self._of_agents(HttpRequest(scope, receive)) if agents else self._smc
        await answer(scope, receive, send)

    async def _of_agents(self, request: HttpRequest) -> Response:
        method, answer = self._agents.get(request.scope["path"], ("", None))
        if answer is None:
            return PlainTextResponse("Not Found", 404)
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            return PlainTextResponse("Method Not Allowed", 405, {"Allow": method})
        return await answer(request)


def origin_form(scope: Scope) -> Scope:
    """A request target in absolute form (http://host/?…), as it comes through a proxy, means its path."""
    path: str = scope["path"]
    if not path.startswith(("http://", "https://")):
        return scope
    path = "/" + path.partition("://")[2].partition("/")[2]
    return {**scope, "path": path, "raw_path": path.encode()}


class Smc:
    """The endpoint of all actions, for any method: an error is in the API's form too."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HttpRequest(scope, receive)
        try:
            reply = await self._answer(request)
        except ClientDisconnect:
            return  # in the middle of its body: nobody reads an answer
        headers = {"x-acs-request-id": reply.request_id, "cache-control": "no-store"}
        if reply.retry_after:
            headers["x-acs-retry-after"] = str(reply.retry_after)
        response = Response(reply.body, reply.status, headers, reply.content_type)
        await response(scope, receive, send)

    async def _answer(self, request: HttpRequest) -> Reply:
        address = request.client.host if request.client else ""
        origin = Origin(request.headers.get("host", ""), address, request.url.scheme == "https")
        query, body = request.scope["query_string"], b""
        try:
            if request.url.path != "/" or request.method not in METHODS:
                raise gateway.unknown_api()
            headers = header_map(request)
            body = await read_body(request, rpc.MAX_BODY)
            decoded = rpc.decode(request.method, query, headers, body)
        except (ApiError, RequestTimeoutError) as error:
            refusal = errors.refused(error) or errors.internal()
            form = rpc.wanted_format(query, body)
            return gateway.refuse(refusal, form, gateway.new_request_id(), origin.host)
        return await anyio.to_thread.run_sync(gateway.answer, decoded, self._services, origin)


def header_map(request: HttpRequest) -> dict[str, str]:
    """By lower-case name; values that are not UTF-8 keep their bytes as escapes, a repeated one is joined."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers.raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode(errors="surrogateescape")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def read_body(request: HttpRequest, most: int) -> bytes:
    """ApiError as soon as there is more than `most` bytes, whatever Content-Length says.

    RequestTimeoutError when they do not come in time.
    """
    body = bytearray()
    async for part in arrival.parts(request):
        body += part
        if len(body) > most:
            raise rpc.too_large("the body", most)
    return bytes(body)
