"""A PostgreSQL of the tests' own: one cluster on a unix socket, a database from a template for each test.

It can be a host's among others too, with an address.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from rehost.store.database import Database

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_TEMPLATE = "rehost_template"
_UNPRIVILEGED = "nobody"  # who runs it when root runs the tests: PostgreSQL refuses to be root
# What makes a database survive a power cut is of no use to one that does not survive its tests.
_SETTINGS = (
    "fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=400",
    "autovacuum=off", "jit=off", "max_wal_size=64MB", "min_wal_size=32MB",
)  # fmt: skip


class Cluster:
    """Databases of one server, which can be stopped and started.

    `prefix` is a command that runs it, where it listens at `address` besides its socket.
    """

    def __init__(
        self,
        folder: Path,
        settings: Sequence[str] = _SETTINGS,
        address: str = "",
        prefix: Sequence[str] = (),
    ) -> None:
        self._folder, self._settings, self._address, self._prefix = folder, settings, address, prefix
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        return f"postgresql://rehost@/{name}?host={self._address or self._folder}"

    def prepare(self) -> None:
        """Its files, and the template: a database with the newest schema."""
        self._run(
            "initdb", "--pgdata", str(self._data), "--username", "rehost", "--auth", "trust", "--no-sync",
            "--encoding", "UTF8", "--locale", "C.UTF-8",
        )  # fmt: skip
        if self._address:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")
        self.start()
        self._execute(f"CREATE DATABASE {_TEMPLATE}")
        Database.open(self.url(_TEMPLATE)).close()

    def make(self, *, empty: bool = False) -> str:
        """The URL of a new database."""
        name = f"test{next(self._numbers)}"
        # Without fsync a copy of files takes a third of the time of one through the log.
        template = "" if empty else f"TEMPLATE {_TEMPLATE}"
        self._execute(f"CREATE DATABASE {name} {template} STRATEGY FILE_COPY")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Some 8 MB each: those of a whole run together filled a disk."""
        name = url.partition("@/")[2].partition("?")[0]
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        options = [part for setting in self._settings for part in ("-c", setting)]
        command = _as_nobody(
            str(PROGRAMS / "postgres"), "-D", str(self._data), "-k", str(self._folder),
            "-c", f"listen_addresses={self._address}", *options,
        )  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *command], stdout=log, stderr=log, cwd=self._folder
            )
        self._wait_until_up()

    def stop(self, mode: str = "fast") -> None:
        """At once, as in a restart for an upgrade: connections are cut. With the mode immediate as in a
        crash: it has to recover when it is started."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "--pgdata", str(self._data), "--mode", mode, "--silent")
            self._process.wait(60)
            self._process = None

    @property
    def pid(self) -> int:
        """Of the process whose children do the work."""
        assert self._process is not None, "it is not started"
        return self._process.pid

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        command = _as_nobody(str(PROGRAMS / program), *arguments)
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=self._folder)
        assert done.returncode == 0, done.stderr

    def _wait_until_up(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end or self._process is None or self._process.poll() is not None:
                    raise
                time.sleep(0.05)


@contextmanager
def cluster(
    settings: Sequence[str] = _SETTINGS, address: str = "", prefix: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Not among the tests' other files: a socket's path is short, and others than root go there."""
    folder = Path(tempfile.mkdtemp(prefix="rehost-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _UNPRIVILEGED)
    made = Cluster(folder, settings, address, prefix)
    try:
        made.prepare()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def _as_nobody(*command: str) -> list[str]:
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--reuid", _UNPRIVILEGED, "--regid", "nogroup", "--clear-groups", *command]
