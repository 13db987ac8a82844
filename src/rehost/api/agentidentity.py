"""Who an agent is, without a look into the database each time."""

import hmac
import time
from collections.abc import Callable

import anyio.to_thread
from starlette.requests import Request

from rehost.core import clones
from rehost.core.clones import Boot
from rehost.core.errors import AgentIdentityError
from rehost.store.serverrow import SourceServer
from rehost.store.servers import hash_secret

TRUSTED = 60.0  # seconds: another process may have met another machine since

Authenticate = Callable[[str, str], SourceServer]
Meet = Callable[[str, Boot, str], None]  # see `store.clones`


class Identities:
    """Secrets that were right stay right as long as their source server is there: they never change."""

    def __init__(self, authenticate: Authenticate, meet: Meet) -> None:
        self._authenticate = authenticate
        self._meet = meet
        self._known: dict[str, str] = {}  # source id -> hash of its secret
        self._met: dict[str, str] = {}  # source id -> header of the machine that bears it
        self._forget_at = 0.0

    async def verified(self, request: Request) -> str:
        """The agent's source id, of one that is there now.

        AgentIdentityError; ClonedAgentError or BootChangedError where another machine shows it.
        """
        source_id, secret = _credentials(request)
        try:
            await anyio.to_thread.run_sync(self._authenticate, source_id, secret)
        except AgentIdentityError:
            self.forget(source_id)
            raise
        self._known[source_id] = hash_secret(secret)
        await self.meet(source_id, request)
        return source_id

    async def known(self, request: Request) -> str:
        """The same, for who finds out by itself, and says by `forget`, that the source server is gone."""
        source_id, secret = _credentials(request)
        kept = self._known.get(source_id)
        if kept is None or not hmac.compare_digest(kept, hash_secret(secret)):
            return await self.verified(request)
        await self.meet(source_id, request)
        return source_id

    async def meet(self, source_id: str, request: Request) -> None:
        """Nothing tells the machines of older agents apart."""
        header = request.headers.get(clones.HEADER, "")
        if not header or self._trusted().get(source_id) == header:
            return
        address = request.client.host if request.client else ""
        await anyio.to_thread.run_sync(self._meet, source_id, clones.parse(header), address)
        self._met[source_id] = header

    def forget(self, source_id: str) -> None:
        self._known.pop(source_id, None)
        self._met.pop(source_id, None)

    def _trusted(self) -> dict[str, str]:
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + TRUSTED
            self._met.clear()
        return self._met


def _credentials(request: Request) -> tuple[str, str]:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    source_id, _, secret = credentials.strip().partition(":")
    if scheme.lower() != "bearer" or not source_id or not secret:
        raise AgentIdentityError("the request has no agent's identity", "register the agent")
    return source_id, secret
