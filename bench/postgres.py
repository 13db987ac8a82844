"""What a PostgreSQL does meanwhile, as it counts itself, and what its processes use."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from bench.processes import cpu_of_family, descendants, pss_of
from tests.postgresql import Cluster, cluster

# As installed, but for one more thing to count by: durable, with autovacuum and 128 MB of shared buffers.
_SETTINGS = ("listen_addresses=", "max_connections=100", "shared_preload_libraries=pg_stat_statements")
_TOTALS = """
SELECT (SELECT sum(xact_commit) FROM pg_stat_database), (SELECT sum(calls) FROM pg_stat_statements),
       pg_current_wal_lsn() - '0/0'::pg_lsn
"""
_TOP = """
SELECT calls, total_exec_time, regexp_replace(left(query, 110), '\\s+', ' ', 'g') FROM pg_stat_statements
ORDER BY total_exec_time DESC LIMIT 12
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the start."""

    cpu: float  # seconds
    transactions: int
    statements: int
    wal: int  # bytes


class Postgres:
    def __init__(self, cluster: Cluster, url: str) -> None:
        self.url = url
        self._cluster = cluster
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("CREATE EXTENSION pg_stat_statements")

    def totals(self) -> Totals:
        row = self._connection.execute(_TOTALS).fetchone()
        assert row is not None
        return Totals(cpu_of_family(self._cluster.pid), int(row[0]), int(row[1]), int(row[2]))

    def memory(self) -> int:
        """Bytes of all its processes together; shared buffers count once."""
        return sum(map(pss_of, (self._cluster.pid, *descendants(self._cluster.pid))))

    def size(self) -> int:
        """Bytes of the database's files."""
        row = self._connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])

    def connections(self) -> int:
        row = self._connection.execute("SELECT sum(numbackends) FROM pg_stat_database").fetchone()
        assert row is not None
        return int(row[0])

    def tell_top(self) -> None:
        """The statements that took most, and forget them."""
        for calls, milliseconds, text in self._connection.execute(_TOP):
            print(f"    {calls:8} × {milliseconds / calls:8.3f} ms  {text}", flush=True)
        self._connection.execute("SELECT pg_stat_statements_reset()")

    def close(self) -> None:
        self._connection.close()


@contextmanager
def postgres() -> Iterator[Postgres]:
    with cluster(_SETTINGS) as made:
        opened = Postgres(made, made.make())
        try:
            yield opened
        finally:
            opened.close()
