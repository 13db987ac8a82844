"""Who shows the identity of a source server: the machine that it was given to, its clone, a stranger."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from rehost.core.clones import Bearers, Boot, Clone, Verdict, meet
from rehost.core.errors import AgentIdentityError, BootChangedError, ClonedAgentError, RehostError
from rehost.store.database import Database
from rehost.store.events import note
from rehost.store.schema import source_servers

SILENT = 1.5  # heartbeats that do not come, until a boot counts as ended by another one

_table = source_servers.c


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says to be a source server's agent."""

    source: str
    secret_hash: str = field(repr=False)
    boot: Boot | None  # of its machine; None: an older agent, which does not tell
    address: str


@dataclass(slots=True)
class _Judged:
    refused: dict[Claim, RehostError]
    before: dict[str, Bearers | None]  # by source
    after: dict[str, Bearers]

    @property
    def changed(self) -> dict[str, Bearers]:
        return {source: new for source, new in self.after.items() if new != self.before[source]}


class Clones:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._since = database.now()  # what was heard before, this process cannot have missed

    def check(self, claims: Collection[Claim]) -> dict[Claim, RehostError]:
        """Those that are not what they claim, of however many in two transactions at most; the others are.

        AgentIdentityError for a wrong secret, or a source server that is not there. ClonedAgentError for
        another machine. BootChangedError for one that nothing but its boot id tells from the source server,
        until it is known whether that one still works.
        """
        with self._database.read() as connection:
            judged = self._judge(connection, claims)
        if judged.changed:
            with self._database.write() as connection:
                judged = self._judge(connection, claims)
                self._keep(connection, judged)
        return judged.refused

    def _judge(self, connection: sa.Connection, claims: Collection[Claim]) -> _Judged:
        rows = connection.execute(_SHOWN, {"ids": [claim.source for claim in claims]})
        there = {row.id: row for row in rows}
        judged = _Judged({}, {source: row.bearers for source, row in there.items()}, {})
        for claim in claims:
            row = there.get(claim.source)
            if row is None or not hmac.compare_digest(row.secret_hash, claim.secret_hash):
                judged.refused[claim] = AgentIdentityError(
                    "the control plane does not know this agent's identity",
                    "the source server was deleted or never registered here: register it again",
                )
            elif claim.boot is not None:
                self._meet(judged, row, claim, claim.boot)
        return judged

    def _meet(self, judged: _Judged, row: Any, claim: Claim, boot: Boot) -> None:
        now = self._database.now()
        silent = now - max(row.heartbeat, self._since) >= SILENT * row.heartbeat_rate
        known = judged.after.get(claim.source, row.bearers)
        after, verdict = meet(known, boot, claim.address, now, row.heartbeat, silent)
        judged.after[claim.source] = after
        if verdict is not Verdict.OWN:
            judged.refused[claim] = _refusal(claim.source, after, verdict)

    def _keep(self, connection: sa.Connection, judged: _Judged) -> None:
        if not judged.changed:
            return
        rows = [{"source": source, "shown": bearers} for source, bearers in judged.changed.items()]
        connection.execute(_KEEP, rows)
        for source, after in judged.changed.items():
            clone = _sure(after)
            if clone is not None and clone.boot != getattr(_sure(judged.before[source]), "boot", None):
                detail = f"{clone.boot}, from {clone.address}, is not {after.own}"
                note(connection, self._database.now(), source, "rehost", "CLONE", detail)


# Built once: to build them takes longer than to execute them.
_SHOWN = sa.select(
    _table.id, _table.secret_hash, _table.bearers, _table.heartbeat, _table.heartbeat_rate
).where(_table.id.in_(sa.bindparam("ids", expanding=True)))
_KEEP = (
    source_servers.update().where(_table.id == sa.bindparam("source")).values(bearers=sa.bindparam("shown"))
)


def _sure(bearers: Bearers | None) -> Clone | None:
    clone = bearers and bearers.clone
    return clone if clone and clone.sure else None


def _refusal(server_id: str, known: Bearers, verdict: Verdict) -> RehostError:
    if verdict is Verdict.CLONE:
        return ClonedAgentError(
            f"this machine shows the identity of the source server {server_id}, which is another machine:"
            f" {known.own}",
            "its disk was cloned: run `rehost-agent register --anew` here, with a code of `rehost code"
            " create`. If it is that server with other hardware, delete the source server before",
        )
    return BootChangedError(
        f"the source server {server_id} was heard of a moment ago, from before a restart of its kernel",
        "nothing to do: a minute after its restart it goes on. If it is a clone, it will be told so",
    )
