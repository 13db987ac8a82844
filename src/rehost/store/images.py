"""Images: what runs end in. A row is there before the image is, so that its name is taken."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import NotFoundError
from rehost.core.ids import Kind
from rehost.store.database import Database, new_id
from rehost.store.runs import check_generation
from rehost.store.schema import images, runs
from rehost.store.transition import Job

LONGEST_NAME = 128  # characters


class ImageState(StrEnum):
    CREATING = "Creating"
    AVAILABLE = "Available"
    FAILED = "CreateFailed"


@dataclass(frozen=True, slots=True)
class ImageRecord:
    id: str
    account: str
    job: str
    run: str
    name: str
    region: str
    description: str
    path: str  # its folder, empty until it is there
    disks: tuple[str, ...]  # file names in the folder, in the order of the source's disks
    state: ImageState
    created: float


# Built once: to build it takes longer than to execute it.
_NAMES = sa.select(images.c.id, images.c.name).where(images.c.id.in_(sa.bindparam("image_ids")))


class Images:
    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, job: Job, run_id: str, generation: int | None = None) -> ImageRecord:
        """The image of a run: the same one for each call, with a name that no other image of the region has.

        InvalidTransitionError if it is not this generation of the run that the image is to be for.

        A name that is taken gets the job's id as its suffix, and the run's number if a run before took that.
        Without a name from its owner, the job and the number of the run make one: web, web_2, web_3.
        """
        with self._database.write() as connection:
            if generation is not None:
                check_generation(connection, run_id, generation)
            known = connection.execute(sa.select(images).where(images.c.run == run_id)).first()
            if known is not None:
                return _record(known)
            row = {"id": new_id(Kind.IMAGE), "account": job.account, "job": job.id, "run": run_id}
            name = _free_name(connection, job, run_id)
            connection.execute(
                images.insert().values(
                    **row,
                    name=name,
                    region=job.spec.region,
                    description=job.spec.description,
                    path="",
                    disks=(),
                    state=ImageState.CREATING,
                    created=self._database.now(),
                )
            )
            return _record(connection.execute(sa.select(images).where(images.c.run == run_id)).one())

    def finish(self, image_id: str, path: str, disks: tuple[str, ...]) -> None:
        self._set(image_id, path=path, disks=disks, state=ImageState.AVAILABLE)

    def fail(self, image_id: str) -> None:
        self._set(image_id, state=ImageState.FAILED)

    def get(self, image_id: str) -> ImageRecord:
        """NotFoundError when there is none."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(images).where(images.c.id == image_id)).first()
        if row is None:
            raise NotFoundError(f"there is no image {image_id}", "list them with: rehost image list")
        return _record(row)

    def of_job(self, job_id: str) -> tuple[ImageRecord, ...]:
        query = sa.select(images).where(images.c.job == job_id).order_by(images.c.created)
        with self._database.read() as connection:
            return tuple(map(_record, connection.execute(query)))

    def given_up(self, run_id: str) -> tuple[ImageRecord, ...]:
        """What generations of the run that others have taken over were making."""
        query = sa.select(images).where(images.c.run.startswith(_given_up(run_id, ""), autoescape=True))
        with self._database.read() as connection:
            return tuple(map(_record, connection.execute(query)))

    def names(self, image_ids: Iterable[str]) -> dict[str, str]:
        """By id, of those of them that were not deleted."""
        asked = tuple(filter(None, image_ids))
        if not asked:
            return {}
        with self._database.read() as connection:
            rows = connection.execute(_NAMES, {"image_ids": asked})
            return {row.id: row.name for row in rows}

    def all(self) -> tuple[ImageRecord, ...]:
        with self._database.read() as connection:
            return tuple(map(_record, connection.execute(sa.select(images).order_by(images.c.created))))

    def remove(self, image_id: str) -> None:
        """Forget an image whose files are gone; a repeated call does nothing."""
        with self._database.write() as connection:
            connection.execute(sa.delete(images).where(images.c.id == image_id))

    def _set(self, image_id: str, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(images.update().where(images.c.id == image_id).values(**values))


def give_up(connection: sa.Connection, run_id: str, generation: int) -> None:
    """In the caller's transaction: the image of a generation that is over is the run's no more, and its name
    is free."""
    made = images.update().where(images.c.run == run_id)
    run = _given_up(run_id, str(generation))
    connection.execute(made.values(run=run, name=images.c.id, path="", state=ImageState.FAILED))


def _given_up(run_id: str, generation: str) -> str:
    return f"{run_id}.{generation}"


def _free_name(connection: sa.Connection, job: Job, run_id: str) -> str:
    names = _names(job, _number(connection, run_id))
    free = (name for name in names if not _taken(connection, job, name))
    return next(free, names[-1])


def _names(job: Job, number: int) -> list[str]:
    """What the image of a job's run may be called, the best name first; nobody else can have the last one."""
    wanted = job.spec.image_name or job.spec.name or job.id
    if not job.spec.image_name and number > 1:
        return [_name(wanted, f"_{number}"), _name(wanted, f"_{job.id}_{number}")]
    return [wanted, _name(wanted, f"_{job.id}"), _name(wanted, f"_{job.id}_{number}")]


def _name(wanted: str, suffix: str) -> str:
    return wanted[: LONGEST_NAME - len(suffix)] + suffix


def _number(connection: sa.Connection, run_id: str) -> int:
    """Which run of its job it is, from 1."""
    found: int | None = connection.execute(sa.select(runs.c.number).where(runs.c.id == run_id)).scalar()
    return found or 1


def _taken(connection: sa.Connection, job: Job, name: str) -> bool:
    """By another image of the region."""
    found = sa.select(images.c.id).where(
        images.c.account == job.account, images.c.region == job.spec.region, images.c.name == name
    )
    return connection.execute(found).first() is not None


def _record(row: Any) -> ImageRecord:
    return ImageRecord(
        id=row.id,
        account=row.account,
        job=row.job,
        run=row.run,
        name=row.name,
        region=row.region,
        description=row.description,
        path=row.path,
        disks=row.disks,
        state=ImageState(row.state),
        created=row.created,
    )
