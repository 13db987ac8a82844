"""The HTTP server around the application, with the limits that the API needs."""

import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from rehost.api.rpc import MAX_QUERY
from rehost.api.wakeups import Wakeups

_HEADERS = 64 << 10  # bytes beside the request line
_GRACE = 5  # seconds for requests under way at the end


class Server(uvicorn.Server):
    """Uvicorn that lets the long polls answer before it waits for the requests under way."""

    def __init__(self, config: uvicorn.Config, wakeups: Wakeups) -> None:
        super().__init__(config)
        self._wakeups = wakeups

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._wakeups.close()
        await super().shutdown(sockets)


def server(
    app: ASGIApp, wakeups: Wakeups, certificate: Path | None = None, key: Path | None = None
) -> Server:
    """Run it with `server.run(sockets=[…])`; without certificate and key it speaks plain HTTP.

    A request line is as long as a query may be: the clients put all parameters there.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_QUERY + _HEADERS,
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return Server(config, wakeups)
