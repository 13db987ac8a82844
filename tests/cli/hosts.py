"""Several hosts on one database, as processes: two of `rehost serve` and two of `rehost worker`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from rehost.cli import datafolder
from rehost.store.transition import Job
from tests.cli.serving import ControlPlane

SERVERS, WORKERS = ("server-1", "server-2"), ("worker-1", "worker-2")
SHARED_KEYS = ("ca.crt", "ca.key", "server.key", "ticket.key", "secrets.key")


class Hosts:
    """The processes by their names; the servers are drained, so that jobs go to the workers."""

    def __init__(self, folder: Path, cache: Path, url: str, *, shared: bool = True, point: str = "") -> None:
        """`point`: where the workers are to stand still, see `serving`."""
        self._url = url
        self.volumes = folder / "volumes"
        volumes = self.volumes if shared else ""
        listens = dict.fromkeys(SERVERS, "127.0.0.1:0") | dict.fromkeys(WORKERS, "")
        self._all = {
            name: ControlPlane(folder / name, cache, listen=listen, volumes=volumes, name=name)
            for name, listen in listens.items()
        }
        for name in self._all:
            self._give_keys(name)
            self.start(name, point if name in WORKERS else "")
        for name in SERVERS:
            self.command("drain", name)

    def __getitem__(self, name: str) -> ControlPlane:
        return self._all[name]

    def start(self, name: str, point: str = "") -> None:
        self[name].start(point, self._url)

    def command(self, *words: str) -> Any:
        command = [sys.executable, "-m", "rehost.cli.main", "worker", *words, "--json"]
        done = subprocess.run(
            [*command, "--data", str(self[SERVERS[0]].data)], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    def of(self, job_id: str) -> str:
        """The name of the host that has a job."""
        host = self.job(job_id).host
        return next(str(each["Name"]) for each in self.command("list") if each["Id"] == host)

    def job(self, job_id: str) -> Job:
        with closing(datafolder.open_store(self[SERVERS[0]].data)) as store:
            return store.jobs.get(job_id)

    def port(self, name: str) -> int:
        """Of its receiver, as of now."""
        address = next(each["Address"] for each in self.command("list") if each["Name"] == name)
        return int(address.rpartition(":")[2])

    def workflow(self, workflow_id: str, column: str = "status") -> str:
        """How it is, or something else of it."""
        query = sql.SQL("SELECT {} FROM dbos.workflow_status WHERE workflow_uuid = %s")
        with psycopg.connect(self._url) as connection:
            row = connection.execute(query.format(sql.Identifier(column)), (workflow_id,)).fetchone()
        return "" if row is None else str(row[0])

    def steps(self, workflow_id: str) -> list[str]:
        """What it has done, in order."""
        query = (
            "SELECT function_name FROM dbos.operation_outputs WHERE workflow_uuid = %s"
            " AND function_name NOT LIKE 'DBOS.%%' ORDER BY function_id"
        )
        with psycopg.connect(self._url) as connection:
            return [str(name) for (name,) in connection.execute(query, (workflow_id,))]

    def stop(self, name: str, number: int) -> None:
        """The whole host: its process and its receiver."""
        for pid in (self[name].receiver_pid(), self._pid(name)):
            os.kill(pid, number)

    def kill(self, name: str) -> None:
        self[name].stop(signal.SIGKILL)

    def close(self) -> None:
        for host in self._all.values():
            if host.process is not None:
                host.process.send_signal(signal.SIGCONT)
            host.close()

    def _pid(self, name: str) -> int:
        process = self[name].process
        assert process is not None
        return process.pid

    def _give_keys(self, name: str) -> None:
        first = self[SERVERS[0]]
        if name != SERVERS[0]:
            (self[name].data / "keys").mkdir(parents=True)
            for key in SHARED_KEYS:
                shutil.copy(first.data / "keys" / key, self[name].data / "keys" / key)
