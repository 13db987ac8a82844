"""The ASGI application: the SMC API on `/`, the agents' API under `/agent/`."""

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from rehost.api import arrival, errors, gateway, rpc
from rehost.api.agents import routes as agent_routes
from rehost.api.errors import ApiError
from rehost.api.gateway import Origin, Reply
from rehost.api.services import Services
from rehost.core.errors import RequestTimeoutError

METHODS = ("GET", "POST")


def create_app(services: Services) -> Starlette:
    app = Starlette(
        routes=[Mount("/agent", routes=agent_routes(services)), Route("/{path:path}", Smc(services))]
    )
    app.add_middleware(OriginForm)
    return app


class OriginForm:
    """A request target in absolute form (http://host/?…), as it comes through a proxy, means its path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(("http://", "https://")):
            path = "/" + path.partition("://")[2].partition("/")[2]
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


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
