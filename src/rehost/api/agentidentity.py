"""Who an agent is, without a look into the database each time."""

import hmac
import time
from collections.abc import Mapping

from starlette.requests import Request

from rehost.api.batches import HALF, SOON, Batches, Write
from rehost.core import clones
from rehost.core.errors import AgentIdentityError, RehostError
from rehost.store.clones import Claim
from rehost.store.servers import hash_secret

TRUSTED = 60.0  # seconds: another process may have met another machine since

Check = Write[Claim, None, Mapping[Claim, RehostError]]  # see `store.clones`


class Identities:
    """What was right stays right for a minute, as long as its source server is there."""

    def __init__(self, check: Check) -> None:
        self._checks = Batches(check, SOON, HALF)
        self._known: dict[str, Claim] = {}  # by source id
        self._forget_at = 0.0

    async def verified(self, request: Request) -> str:
        """The agent's source id, of one that is there now.

        AgentIdentityError; ClonedAgentError or BootChangedError where another machine shows it.
        """
        return await self._check(_claim(request))

    async def known(self, request: Request) -> str:
        """The same, for who finds out by itself, and says by `forget`, that the source server is gone."""
        claim = _claim(request)
        kept = self._trusted().get(claim.source)
        if kept is None or not hmac.compare_digest(kept.secret_hash, claim.secret_hash) or kept != claim:
            return await self._check(claim)
        return claim.source

    async def registered(self, source_id: str, secret: str, request: Request) -> None:
        """The agent is given an identity; ClonedAgentError when another machine has it."""
        await self._check(_claim_of(source_id, secret, request))

    def forget(self, source_id: str) -> None:
        self._known.pop(source_id, None)

    async def _check(self, claim: Claim) -> str:
        refusal = (await self._checks.put(claim, None)).get(claim)
        if refusal is not None:
            if isinstance(refusal, AgentIdentityError):
                self.forget(claim.source)
            raise refusal
        self._known[claim.source] = claim
        return claim.source

    def _trusted(self) -> dict[str, Claim]:
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + TRUSTED
            self._known.clear()
        return self._known


def _claim(request: Request) -> Claim:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    source_id, _, secret = credentials.strip().partition(":")
    if scheme.lower() != "bearer" or not source_id or not secret:
        raise AgentIdentityError("the request has no agent's identity", "register the agent")
    return _claim_of(source_id, secret, request)


def _claim_of(source_id: str, secret: str, request: Request) -> Claim:
    header = request.headers.get(clones.HEADER, "")
    address = request.client.host if request.client else ""
    return Claim(source_id, hash_secret(secret), clones.parse(header) if header else None, address)
