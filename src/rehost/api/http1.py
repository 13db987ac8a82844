"""HTTP/1.1 by httptools, whose parser is C, with a bound on what a request's head may take."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rehost.api.rpc import MAX_QUERY

LARGEST_HEAD = MAX_QUERY + (64 << 10)  # bytes: the clients put all parameters into the request line


class Http1(HttpToolsProtocol):
    """One client's connection. The parser itself would keep a head of any length."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._taken = 0  # bytes since the last head or body that was whole

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # refused: what the client still sends is nobody's
        self._taken += len(data)
        super().data_received(data)
        if self._in_head and self._taken > LARGEST_HEAD:
            self.send_400_response("The request's head is too large.")

    def on_headers_complete(self) -> None:
        """The parser of URLs takes 64 KiB; a query may be longer, and needs none."""
        self._in_head, self._taken = False, 0
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query

    def on_message_complete(self) -> None:
        self._in_head, self._taken = True, 0
        super().on_message_complete()
