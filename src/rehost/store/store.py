"""All records of one data folder or database, opened together."""

import time
from dataclasses import dataclass
from pathlib import Path

from rehost.store.codes import ActivationCodes
from rehost.store.database import Clock, Database
from rehost.store.events import Events
from rehost.store.images import Images
from rehost.store.jobs import Jobs
from rehost.store.keys import AccessKeys
from rehost.store.nonces import Nonces
from rehost.store.runs import Runs
from rehost.store.secretbox import SecretBox
from rehost.store.servers import SourceServers
from rehost.store.tags import Tags
from rehost.store.workgroups import Workgroups

DATABASE_FILE = "rehost.db"


@dataclass(frozen=True, slots=True)
class Store:
    database: Database
    keys: AccessKeys
    nonces: Nonces
    codes: ActivationCodes
    servers: SourceServers
    jobs: Jobs
    runs: Runs
    images: Images
    events: Events
    tags: Tags
    workgroups: Workgroups

    @classmethod
    def open(cls, where: Path | str, secrets_key: bytes, clock: Clock = time.time) -> "Store":
        """Open a data folder (SQLite) or a database's URL; brought to the newest schema on the way."""
        database = Database.open(where / DATABASE_FILE if isinstance(where, Path) else where, clock)
        return cls(
            database,
            AccessKeys(database, SecretBox(secrets_key)),
            Nonces(database),
            ActivationCodes(database),
            SourceServers(database),
            Jobs(database),
            Runs(database),
            Images(database),
            Events(database),
            Tags(database),
            Workgroups(database),
        )

    def close(self) -> None:
        self.database.close()
