"""All records of one data folder or database, opened together."""

import time
from dataclasses import dataclass
from pathlib import Path

from rehost.store.accounts import Accounts
from rehost.store.assignments import Assignments
from rehost.store.audit import AuditTrail
from rehost.store.clones import Clones
from rehost.store.codes import ActivationCodes
from rehost.store.copies import Copies
from rehost.store.database import Clock, Database
from rehost.store.deliveries import Deliveries
from rehost.store.events import Events
from rehost.store.hosts import Hosts
from rehost.store.images import Images
from rehost.store.jobs import Jobs
from rehost.store.keys import AccessKeys
from rehost.store.nonces import Nonces
from rehost.store.policies import Policies
from rehost.store.principals import Principals
from rehost.store.room import Room
from rehost.store.runs import Runs
from rehost.store.secretbox import LoadKeys, SecretBox
from rehost.store.servers import SourceServers
from rehost.store.tags import Tags
from rehost.store.takeovers import Takeovers
from rehost.store.tokens import ClientTokens
from rehost.store.webhooks import Webhooks
from rehost.store.workgroups import Workgroups

DATABASE_FILE = "rehost.db"


@dataclass(frozen=True, slots=True)
class Store:
    database: Database
    accounts: Accounts
    principals: Principals
    policies: Policies
    keys: AccessKeys
    nonces: Nonces
    audit: AuditTrail
    codes: ActivationCodes
    servers: SourceServers
    clones: Clones
    assignments: Assignments
    jobs: Jobs
    room: Room
    runs: Runs
    copies: Copies
    tokens: ClientTokens
    images: Images
    events: Events
    tags: Tags
    workgroups: Workgroups
    webhooks: Webhooks
    deliveries: Deliveries
    hosts: Hosts
    takeovers: Takeovers

    @classmethod
    def open(cls, where: Path | str, secrets_key: bytes | LoadKeys, clock: Clock = time.time) -> "Store":
        """Open a data folder (SQLite) or a database's URL; brought to the newest schema on the way.

        `secrets_key`: what seals secrets, or where to look it up, see `SecretBox`.
        """
        return cls.on(
            Database.open(where / DATABASE_FILE if isinstance(where, Path) else where, clock), secrets_key
        )

    @classmethod
    def on(cls, database: Database, secrets_key: bytes | LoadKeys) -> "Store":
        room = Room(database)
        load = (lambda: (secrets_key,)) if isinstance(secrets_key, bytes) else secrets_key
        box = SecretBox(load)
        return cls(
            database,
            Accounts(database),
            Principals(database),
            Policies(database),
            AccessKeys(database, box),
            Nonces(database),
            AuditTrail(database),
            ActivationCodes(database),
            SourceServers(database),
            Clones(database),
            Assignments(database),
            Jobs(database),
            room,
            Runs(database, room),
            Copies(database),
            ClientTokens(database),
            Images(database),
            Events(database),
            Tags(database),
            Workgroups(database),
            Webhooks(database, box),
            Deliveries(database, box),
            Hosts(database),
            Takeovers(database),
        )

    def reseal(self) -> int:
        """Seal all secrets by the newest key; how many there are."""
        return self.keys.reseal() + self.webhooks.reseal()

    def close(self) -> None:
        self.audit.close()
        self.database.close()
