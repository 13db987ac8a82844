"""What an agent is told to carry out, as one field of its source server; a version tells when it changed."""

import sqlalchemy as sa

from rehost.store.schema import source_servers

_table = source_servers.c


def take_back(connection: sa.Connection, server_id: str, run: str) -> None:
    """Of a run, in the caller's transaction; another run's stays, and a source that is gone is no error."""
    query = sa.select(_table.assignment).where(_table.id == server_id)
    assignment = connection.execute(query).scalar_one_or_none()
    if assignment is None or assignment.run != run:
        return
    changed = source_servers.update().where(_table.id == server_id)
    connection.execute(changed.values(assignment=None, assignment_version=_table.assignment_version + 1))
