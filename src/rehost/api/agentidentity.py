"""Who an agent is, without a look into the database each time."""

import hmac
from collections.abc import Callable

import anyio.to_thread
from starlette.requests import Request

from rehost.core.errors import AgentIdentityError
from rehost.store.servers import SourceServer, hash_secret

Authenticate = Callable[[str, str], SourceServer]


class Identities:
    """Secrets that were right stay right as long as their source server is there: they never change."""

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._known: dict[str, str] = {}  # source id -> hash of its secret

    async def verified(self, request: Request) -> str:
        """The agent's source id, of one that is there now; AgentIdentityError."""
        source_id, secret = _credentials(request)
        try:
            await anyio.to_thread.run_sync(self._authenticate, source_id, secret)
        except AgentIdentityError:
            self.forget(source_id)
            raise
        self._known[source_id] = hash_secret(secret)
        return source_id

    async def known(self, request: Request) -> str:
        """The same, for who finds out by itself, and says by `forget`, that the source server is gone."""
        source_id, secret = _credentials(request)
        kept = self._known.get(source_id)
        if kept is not None and hmac.compare_digest(kept, hash_secret(secret)):
            return source_id
        return await self.verified(request)

    def forget(self, source_id: str) -> None:
        self._known.pop(source_id, None)


def _credentials(request: Request) -> tuple[str, str]:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    source_id, _, secret = credentials.strip().partition(":")
    if scheme.lower() != "bearer" or not source_id or not secret:
        raise AgentIdentityError("the request has no agent's identity", "register the agent")
    return source_id, secret
