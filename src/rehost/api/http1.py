"""HTTP/1.1 by httptools, whose parser is C, with bounds of a request's head: bytes and seconds."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rehost.api.rpc import MAX_QUERY

LARGEST_HEAD = MAX_QUERY + (64 << 10)  # bytes: the clients put all parameters into the request line
HEAD_WITHIN = 10.0  # seconds


class Http1(HttpToolsProtocol):
    """One client's connection. The parser itself would keep a head of any length, and wait for it forever:
    who sends a byte now and then is to hold nothing. (`arrival` has the bounds of bodies.)"""

    _head_due: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._taken = 0  # bytes since the last head or body that was whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # refused: what the client still sends is nobody's
        self._taken += len(data)
        super().data_received(data)
        if self._in_head and self._taken > LARGEST_HEAD:
            self.send_400_response("The request's head is too large.")
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_head()

    def on_headers_complete(self) -> None:
        """The parser of URLs takes 64 KiB; a query may be longer, and needs none."""
        self._in_head, self._taken = False, 0
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query

    def on_message_complete(self) -> None:
        self._in_head, self._taken = True, 0
        super().on_message_complete()

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
