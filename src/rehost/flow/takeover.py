"""Going on with what dead hosts have left: here where their storage is this host's too, else anew."""

import logging
from collections.abc import Callable, Sequence

from rehost.block.crashpoint import reach
from rehost.core.errors import InvalidTransitionError, NoHostError, NotFoundError
from rehost.core.job import JobState
from rehost.core.placement import share
from rehost.flow.engine import Engine
from rehost.flow.lifecycle import start_workflow
from rehost.flow.ticker import Ticker
from rehost.store.hosts import Host, reachable
from rehost.store.runs import Run
from rehost.store.status import host_away_info
from rehost.store.store import Store
from rehost.store.takeovers import Orphan
from rehost.store.transition import Job

TICK = 2.0  # seconds
PATIENCE = 5.0  # seconds; when a host has not taken its share by then it may be dead too
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
        resync_after: float = 0.0,
        patience: float = PATIENCE,
    ) -> None:
        """`volumes` names the storage that this host shares; `ready`: others may be taken for dead.

        `resync_after`: seconds that a host may be away, if no other one has its volumes, until its runs begin
        anew elsewhere; 0: they wait for it, or until somebody asks. `patience`: seconds after which this host
        takes more than its share.
        """
        self._store, self._engine = store, engine
        self._host, self._volumes, self._ready = host, volumes, ready
        self._resync_after, self._patience = resync_after, patience
        self._ticker = Ticker("takeover", self.tick, TICK)

    def start(self) -> None:
        self._ticker.start()

    def close(self) -> None:
        self._ticker.close()

    def tick(self) -> None:
        orphans = self._store.takeovers.orphans()
        if not orphans or not self._ready():
            return
        there = self._store.hosts.all()
        storages, left = reachable(there), self._share(orphans, there)
        for orphan in orphans:
            try:
                left -= self._look_at(orphan, storages, left > 0 or orphan.away > self._patience)
            except (NotFoundError, InvalidTransitionError, NoHostError):
                continue  # it went on meanwhile; or no host takes it, and it says that its own is away
            except Exception:  # noqa: BLE001  one that resists does not keep the others
                _log.exception("the job %s of host %s cannot be taken over yet", orphan.job.id, orphan.host)

    def _share(self, orphans: Sequence[Orphan], there: Sequence[Host]) -> int:
        """Of those that run: they go to all that can have them, and not to the first that looks."""
        count = sum(self._is_ours(orphan) and orphan.runs for orphan in orphans)
        running = {each.id: each.running for each in there if self._is_able(each)}
        if self._host not in running:
            return 0
        return share(running.pop(self._host), list(running.values()), count)

    def _is_able(self, host: Host) -> bool:
        return host.takes_jobs and host.presence.volumes == self._volumes

    def _is_ours(self, orphan: Orphan) -> bool:
        return bool(orphan.volumes) and orphan.volumes == self._volumes

    def _look_at(self, orphan: Orphan, storages: frozenset[str], willing: bool) -> bool:
        """Whether a run goes on here. `storages`: those of hosts that take jobs; `willing`: to take
        one more that runs."""
        if orphan.volumes in storages:
            wanted = self._is_ours(orphan) and (willing or not orphan.runs)
            return wanted and self._store.hosts.takes_jobs(self._host) and self._go_on(orphan, self._take)
        if orphan.runs or orphan.job.state is JobState.DELETING:
            self._say_away(orphan)
        if orphan.runs and self._is_to_be_copied_anew(orphan):
            self._go_on(orphan, self._resync)
        return False

    def _take(self, job: Job) -> Run | None:
        return self._store.takeovers.take(job, self._host, ACTOR)

    def _resync(self, job: Job) -> Run | None:
        return self._store.takeovers.resync(job, ACTOR)

    def _say_away(self, orphan: Orphan) -> None:
        job = orphan.job
        info = host_away_info(orphan.host, orphan.lease, deleting=not orphan.runs)
        if job.status_info != info:
            self._store.jobs.report(job.id, job.current_run, job.state, info)

    def _is_to_be_copied_anew(self, orphan: Orphan) -> bool:
        """A host that somebody has stopped is waited for."""
        if not self._resync_after or not orphan.lease or orphan.job.state is JobState.CLEANING:
            return False
        return orphan.away >= self._resync_after

    def _go_on(self, orphan: Orphan, take: Callable[[Job], Run | None]) -> bool:
        """Records only: who touches files may wait for a host that stands still, and other jobs for this."""
        job = orphan.job
        reach("takeover.begun")
        run = take(job)
        reach("takeover.taken")
        if run is not None:
            _log.warning("the job %s goes on at %s: its host %s is away", job.id, run.host, orphan.host)
            start_workflow(self._engine, run)
            reach("takeover.enqueued")
        return run is not None
