"""Going on with what dead hosts have left, where their storage is this host's too."""

import logging
from collections.abc import Callable

from rehost.block.crashpoint import reach
from rehost.core.errors import InvalidTransitionError, NotFoundError
from rehost.core.job import Status
from rehost.flow.engine import Engine
from rehost.flow.lifecycle import start_workflow
from rehost.flow.ticker import Ticker
from rehost.store.status import host_away_info
from rehost.store.store import Store
from rehost.store.takeovers import Orphan

TICK = 2.0  # seconds
ACTOR = "rehost"

_log = logging.getLogger(__name__)


class Takeover:
    """Hosts with the same storage look at the same time; of two that want a job one gets it."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        host: str,
        volumes: str,
        ready: Callable[[], bool],
    ) -> None:
        """`volumes` names the storage that this host shares; `ready`: others may be taken for dead."""
        self._store, self._engine = store, engine
        self._host, self._volumes, self._ready = host, volumes, ready
        self._ticker = Ticker("takeover", self.tick, TICK)

    def start(self) -> None:
        self._ticker.start()

    def close(self) -> None:
        self._ticker.close()

    def tick(self) -> None:
        if not self._ready():
            return
        for orphan in self._store.takeovers.orphans():
            try:
                self._look_at(orphan)
            except (NotFoundError, InvalidTransitionError):
                continue  # it went on meanwhile
            except Exception:  # noqa: BLE001  one that resists does not keep the others
                _log.exception("the job %s of host %s cannot be taken over yet", orphan.job.id, orphan.host)

    def _look_at(self, orphan: Orphan) -> None:
        if orphan.volumes and orphan.volumes == self._volumes:
            if self._store.hosts.takes_jobs(self._host):
                self._take(orphan)
        elif not orphan.volumes and orphan.job.state.status is Status.RUNNING:
            job, info = orphan.job, host_away_info(orphan.host, orphan.lease)
            if job.status_info != info:
                self._store.jobs.report(job.id, job.current_run, job.state, info)

    def _take(self, orphan: Orphan) -> None:
        """Records only: who touches files may wait for a host that stands still, and other jobs for this."""
        job = orphan.job
        reach("takeover.begun")
        run = self._store.takeovers.take(job, self._host, ACTOR)
        reach("takeover.taken")
        if run is not None:
            _log.warning("the job %s goes on here: its host %s is away", job.id, orphan.host)
            start_workflow(self._engine, run)
            reach("takeover.enqueued")
