"""What a transaction is for, and what each kind of database has to offer: a module for each kind."""

from contextlib import AbstractContextManager
from enum import Enum, auto
from typing import Protocol

import sqlalchemy as sa

from rehost.core.errors import RehostError

OPTION = "rehost_access"  # the execution option that carries it to the beginning of a transaction


class Access(Enum):
    READ = auto()  # one consistent state
    WRITE = auto()  # alone: writers take turns
    APPEND = auto()  # rows that depend on no others; the answer does not wait for the disk
    UPGRADE = auto()  # as WRITE; tables may be made anew, and what refers to their rows stays


class Backend(Protocol):
    def view(self, engine: sa.Engine, access: Access) -> sa.Engine:
        """The engine whose transactions have this access."""

    def turn(self) -> AbstractContextManager[object]:
        """What threads of one process that write queue for, where the database has no queue of its own."""

    def clock(self, connection: sa.Connection) -> float | None:
        """Unix seconds by the database's own clock; None: it has none besides this host's."""

    def told(self, error: sa.exc.DBAPIError) -> RehostError | None:
        """What an error means to whoever waits for the records; None: it is no state of the database."""
