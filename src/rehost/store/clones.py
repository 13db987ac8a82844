"""Who shows the identity of a source server: the machine that it was given to, or a clone of its disk."""

import sqlalchemy as sa

from rehost.core.clones import Bearers, Boot, Clone, Verdict, meet
from rehost.core.errors import BootChangedError, ClonedAgentError
from rehost.store.assignments import unknown
from rehost.store.database import Database
from rehost.store.events import note
from rehost.store.schema import source_servers

SILENT = 1.5  # heartbeats that do not come, until a boot counts as ended by another one

_table = source_servers.c


class Clones:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._since = database.now()  # what was heard before, this process cannot have missed

    def meet(self, server_id: str, told: Boot, address: str) -> None:
        """Somebody with the source server's secret asks; returns if it is the source server.

        ClonedAgentError for another machine. BootChangedError for one that nothing but its boot id tells from
        the source server, until it is known whether that one still works. NotFoundError.
        """
        with self._database.read() as connection:
            before, after, verdict = self._met(connection, server_id, told, address)
        if before != after:
            with self._database.write() as connection:
                before, after, verdict = self._met(connection, server_id, told, address)
                self._keep(connection, server_id, before, after)
        _answer(server_id, after, verdict)

    def _met(
        self, connection: sa.Connection, server_id: str, told: Boot, address: str
    ) -> tuple[Bearers | None, Bearers, Verdict]:
        query = sa.select(_table.bearers, _table.heartbeat, _table.heartbeat_rate)
        row = connection.execute(query.where(_table.id == server_id)).first()
        if row is None:
            raise unknown(server_id)
        now = self._database.now()
        silent = now - max(row.heartbeat, self._since) >= SILENT * row.heartbeat_rate
        after, verdict = meet(row.bearers, told, address, now, row.heartbeat, silent)
        return row.bearers, after, verdict

    def _keep(
        self, connection: sa.Connection, server_id: str, before: Bearers | None, after: Bearers
    ) -> None:
        this = source_servers.update().where(_table.id == server_id)
        connection.execute(this.values(bearers=after))
        clone = _sure(after)
        if clone is not None and clone.boot != getattr(_sure(before), "boot", None):
            detail = f"{clone.boot}, from {clone.address}, is not {after.own}"
            note(connection, self._database.now(), server_id, "rehost", "CLONE", detail)


def _sure(bearers: Bearers | None) -> Clone | None:
    clone = bearers and bearers.clone
    return clone if clone and clone.sure else None


def _answer(server_id: str, known: Bearers, verdict: Verdict) -> None:
    if verdict is Verdict.CLONE:
        raise ClonedAgentError(
            f"this machine shows the identity of the source server {server_id}, which is another machine:"
            f" {known.own}",
            "its disk was cloned: run `rehost-agent register --anew` here, with a code of `rehost code"
            " create`. If it is that server with other hardware, delete the source server before",
        )
    if verdict is Verdict.WAIT:
        raise BootChangedError(
            f"the source server {server_id} was heard of a moment ago, from before a restart of its kernel",
            "nothing to do: a minute after its restart it goes on. If it is a clone, it will be told so",
        )
