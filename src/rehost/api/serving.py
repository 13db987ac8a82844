"""The HTTP server around the application, with the limits that the API needs."""

import asyncio
import logging
import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from rehost.api.rpc import MAX_QUERY
from rehost.api.wakeups import Wakeups

_TOLD_EVERY = 60.0  # seconds
HEAD_WITHIN = 10.0  # seconds
_HEADERS = 64 << 10  # bytes beside the request line
_GRACE = 5  # seconds for requests under way at the end


class Seldom(logging.Filter):
    """Lets each warning through once a minute: they are of what strangers send, and strangers are not to push
    everything else out of the log."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return True
        last = self._told.get(record.msg, 0.0)
        if record.created - last < _TOLD_EVERY:
            return False
        self._told[record.msg] = record.created
        return True


_SELDOM = Seldom()


class Connection(H11Protocol):
    """One client's connection. It ends when a request's head takes too long: who sends a byte now and then
    holds nothing. (`arrival` does the same for bodies.)"""

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_head()

    def _watch_head(self) -> None:
        """The time counts from the connection's begin or the head's first byte; uvicorn's own timer ends
        connections that rest between requests."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_WITHIN, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def shutdown(self) -> None:
        """An idle TLS connection is cut: a goodbye would wait for clients that keep it for later and do not
        read it, and the server's end with it."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            super().shutdown()


class Server(uvicorn.Server):
    """Uvicorn that lets the long polls answer before it waits for the requests under way."""

    def __init__(self, config: uvicorn.Config, wakeups: Wakeups) -> None:
        super().__init__(config)
        self._wakeups = wakeups

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._wakeups.close()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()
        await asyncio.sleep(0)  # lets the loop close them


def server(
    app: ASGIApp, wakeups: Wakeups, certificate: Path | None = None, key: Path | None = None
) -> Server:
    """Run it with `server.run(sockets=[…])`; without certificate and key it speaks plain HTTP.

    A request line is as long as a query may be: the clients put all parameters there.
    """
    config = uvicorn.Config(
        app,
        http=Connection,
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
    logging.getLogger("uvicorn.error").addFilter(_SELDOM)
    return Server(config, wakeups)
