"""Going on with what dead hosts have left, where their storage is this host's too."""

import logging
from collections.abc import Callable, Sequence

from rehost.block.crashpoint import reach
from rehost.core.errors import InvalidTransitionError, NotFoundError
from rehost.core.placement import share
from rehost.flow.engine import Engine
from rehost.flow.lifecycle import start_workflow
from rehost.flow.ticker import Ticker
from rehost.store.hosts import Host
from rehost.store.status import host_away_info
from rehost.store.store import Store
from rehost.store.takeovers import Orphan

TICK = 2.0  # seconds
PATIENCE = 5.0  # seconds after which a host takes more than its share: the others may be dead too
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
        orphans = self._store.takeovers.orphans()
        left = self._share(orphans)
        for orphan in orphans:
            try:
                left -= self._look_at(orphan, left > 0 or orphan.waits > PATIENCE)
            except (NotFoundError, InvalidTransitionError):
                continue  # it went on meanwhile
            except Exception:  # noqa: BLE001  one that resists does not keep the others
                _log.exception("the job %s of host %s cannot be taken over yet", orphan.job.id, orphan.host)

    def _share(self, orphans: Sequence[Orphan]) -> int:
        """Of those that run: they go to all that can have them, and not to the first that looks."""
        count = sum(self._is_ours(orphan) and orphan.runs for orphan in orphans)
        able = [each for each in self._store.hosts.all() if self._is_able(each)] if count else []
        running = {each.id: each.running for each in able}
        if self._host not in running:
            return 0
        return share(running.pop(self._host), list(running.values()), count)

    def _is_able(self, host: Host) -> bool:
        return host.alive and not host.draining and host.presence.volumes == self._volumes

    def _is_ours(self, orphan: Orphan) -> bool:
        return bool(orphan.volumes) and orphan.volumes == self._volumes

    def _look_at(self, orphan: Orphan, willing: bool) -> bool:
        """Whether a run goes on here."""
        if self._is_ours(orphan):
            wanted = willing or not orphan.runs
            return wanted and self._store.hosts.takes_jobs(self._host) and self._take(orphan)
        if not orphan.volumes and orphan.runs:
            job, info = orphan.job, host_away_info(orphan.host, orphan.lease)
            if job.status_info != info:
                self._store.jobs.report(job.id, job.current_run, job.state, info)
        return False

    def _take(self, orphan: Orphan) -> bool:
        """Records only: who touches files may wait for a host that stands still, and other jobs for this."""
        job = orphan.job
        reach("takeover.begun")
        run = self._store.takeovers.take(job, self._host, ACTOR)
        reach("takeover.taken")
        if run is not None:
            _log.warning("the job %s goes on here: its host %s is away", job.id, orphan.host)
            start_workflow(self._engine, run)
            reach("takeover.enqueued")
        return run is not None
