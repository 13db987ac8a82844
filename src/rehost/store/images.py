"""Images: what runs end in. A row is there before the image is, so that its name is taken."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import NotFoundError
from rehost.core.ids import Kind
from rehost.store.database import Database, new_id
from rehost.store.schema import images
from rehost.store.transition import Job


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


class Images:
    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, job: Job, run_id: str) -> ImageRecord:
        """The image of a run: the same one for each call, with a name that no other image of the region has.

        A name that is taken gets the job's id as its suffix, and the run's too if an earlier run took that.
        """
        with self._database.write() as connection:
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


def _free_name(connection: sa.Connection, job: Job, run_id: str) -> str:
    wanted = job.spec.image_name or job.spec.name or job.id
    for name in (wanted, f"{wanted}_{job.id}"):
        taken = sa.select(images.c.id).where(
            images.c.account == job.account, images.c.region == job.spec.region, images.c.name == name
        )
        if connection.execute(taken).first() is None:
            return name
    return f"{wanted}_{job.id}_{run_id}"


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
