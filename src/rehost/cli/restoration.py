"""What has to be done to records and volumes that were brought back, before they are served.

What happened since is unknown: agents may have finished runs, images may be there that the records do not
know, or the other way round, and whoever holds a ticket of that time is not to write.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rehost.api.identity import CLOCK_WINDOW
from rehost.block.crashpoint import reach
from rehost.block.durable import remove_file
from rehost.cli import datafolder, keyring
from rehost.compute.driver import Image
from rehost.compute.driver import ImageState as Built
from rehost.compute.local import LocalDriver
from rehost.core.errors import NotFoundError, RecordsRestoredError, VolumeError, VolumeInUseError
from rehost.core.job import RUNNING, Event, JobState, Status
from rehost.flow import engine_records
from rehost.store import lost, postgresql
from rehost.store.images import ImageRecord, ImageState
from rehost.store.runs import RunType
from rehost.store.status import error_info
from rehost.store.store import Store
from rehost.store.transition import Job

ACTOR = "rehost"
WHY = "the control plane's data was brought back from a backup"


@dataclass(frozen=True, slots=True)
class Restored:
    begun: tuple[str, ...] = ()  # jobs whose run begins again
    lost: tuple[str, ...] = ()  # images that the records had and that cannot be used; they are forgotten
    unusable: tuple[str, ...] = ()  # images on a replica of another time; they are failed
    unknown_images: tuple[str, ...] = ()  # that the records do not have
    unknown_replicas: tuple[str, ...] = ()  # of jobs that the records do not have, and without images


def restore(data: Path) -> Restored:
    """Make a data folder that was brought back fit to be served; can be repeated after a sudden end.

    DataFolderError while it is served.
    """
    datafolder.open_records(data).close()  # says what is wrong with it, before anything is made there
    with datafolder.served(data) as storage, ExitStack() as stack:
        datafolder.mark_backup(data)
        records = datafolder.records(data)
        if isinstance(records, str):
            stack.enter_context(postgresql.held(records))
        keyring.renew_ticket_key(data / "keys")
        reach("restore.key")
        engine_records.forget(datafolder.engine_records(data, records))
        reach("restore.engine")
        store = datafolder.open_records(data)
        stack.callback(store.close)
        found = _reconcile(store, LocalDriver(data, storage.path), datafolder.host_id(data))
        reach("restore.reconciled")
        remove_file(data / datafolder.BACKUP_FILE)
    return found


def _reconcile(store: Store, driver: LocalDriver, host: str) -> Restored:
    store.nonces.spend(store.database.now() + CLOCK_WINDOW)
    store.hosts.restored()
    generations = driver.generations()
    lost.skip(store.database, generations)
    reach("restore.skipped")
    unusable = tuple(_unusable(driver))
    images = driver.images()
    usable = {image.id for image in images if image.state is Built.READY}
    gone = tuple(_forget_lost(store, usable, host))
    known = {record.id for record in store.images.all()}
    needed = {job.id for job in store.jobs.in_states(*JobState)} | {image.job for image in images}
    return Restored(
        begun=tuple(_begin_again(store, _interrupted(store))),
        lost=gone,
        unusable=unusable,
        unknown_images=tuple(sorted(usable - known)),
        unknown_replicas=tuple(sorted(generations.keys() - needed)),
    )


def _unusable(driver: LocalDriver) -> Iterator[str]:
    """Their overlays would change blocks of another content than they were made for. VolumeInUseError while a
    program has files of an unfinished merge open."""
    for image in driver.images():
        if image.state is Built.READY and (why := _objection(driver, image)):
            driver.fail_image(image.id, why)
            yield image.id


def _objection(driver: LocalDriver, image: Image) -> str:
    try:
        driver.sealed_run(image.id)
    except VolumeInUseError:
        raise
    except VolumeError as error:
        return str(error)
    return ""


def _forget_lost(store: Store, usable: Collection[str], host: str) -> Iterator[str]:
    apart = frozenset() if store.database.of_one_host else store.hosts.apart(host)
    for record in store.images.all():
        if record.state is not ImageState.AVAILABLE or record.id in usable or _is_at(apart, store, record):
            continue
        why = f"{record.id}: {WHY}, which does not have the image, or not what it lies on"
        store.events.add(record.job, ACTOR, "IMAGE LOST", why)
        store.images.remove(record.id)
        yield record.id


def _is_at(hosts: Collection[str], store: Store, record: ImageRecord) -> bool:
    """The image may lie at one of the hosts: nobody knows where one was made whose job is deleted."""
    try:
        return store.runs.get(record.run).host in hosts
    except NotFoundError:
        return bool(hosts)


def _interrupted(store: Store) -> list[Job]:
    """Jobs that were running then, or that this had failed when it was killed."""
    failed = (state for state in JobState if state.status is Status.IN_ERROR)
    begun = [job for job in store.jobs.in_states(*failed) if job.error_code == RecordsRestoredError.code]
    return [*store.jobs.in_states(*RUNNING), *begun]


def _begin_again(store: Store, jobs: Iterable[Job]) -> Iterator[str]:
    info = error_info(RecordsRestoredError.code, WHY, "start the job again")
    for job in jobs:
        if job.state in RUNNING:
            store.jobs.apply(
                job.id, Event.FAIL, ACTOR, WHY, error_code=RecordsRestoredError.code, status_info=info
            )
            reach("restore.failed")
        store.runs.begin(job.id, Event.START, RunType.MANUAL, ACTOR, WHY)
        reach("restore.begun")
        yield job.id


def lines(found: Restored) -> Iterator[str]:
    """For people."""
    told = {
        "begins again": found.begun,
        "is lost; the records forget it": found.lost,
        "lies on a replica of another time: it is failed, and cannot be used": found.unusable,
        "is not in the records; it can be used, and deleted with rehost image delete": found.unknown_images,
        "belongs to no job and has no image; it can be removed from replicas/": found.unknown_replicas,
    }
    for what, ids in told.items():
        yield from (f"{each} {what}" for each in ids)
    yield "done; start rehost serve, and look at: rehost job list"
