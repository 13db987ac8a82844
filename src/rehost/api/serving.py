"""The HTTP server around the application, with the limits that the API needs."""

import asyncio
import gc
import logging
import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from rehost.api.http1 import Http1
from rehost.api.wakeups import Wakeups

_TOLD_EVERY = 60.0  # seconds
BACKLOG = 4096  # connections that wait: all agents come at once after a restart
_REST = 15  # seconds that a connection may rest between requests: agents that are slow keep theirs
# What waits for an answer looks to Python's collector like what lives long, so that by its own measure it
# went through all that there is again and again: with ten thousand agents for seconds each time, in which
# nobody was answered (docs/benchmarks.md, many jobs).
_COLLECTIONS = (100_000, 20, 100)
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


class Connection(Http1):
    """One client's connection."""

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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Collections of garbage are seldom, and pass over what is there from the beginning to the end: with
        it a page of 50 rows took a tenth longer."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTIONS)

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
    """Run it with `server.run(sockets=[…])`; without certificate and key it speaks plain HTTP."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=_REST,
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    logging.getLogger("uvicorn.error").addFilter(_SELDOM)
    return Server(config, wakeups)
