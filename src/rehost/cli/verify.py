"""`rehost verify`: is an image, or a disk that stands still, what its run copied?"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rehost.agent.verify import verifyview
from rehost.agent.verify.verifying import chosen, parse_named
from rehost.agent.verify.verifying import verify as verify_disk
from rehost.block import digestfile
from rehost.cli import datafolder, imagecheckview
from rehost.cli.bars import Bars
from rehost.cli.imagecheck import Record, check, header_of, record_of
from rehost.cli.options import DATA, Data, ImageId
from rehost.cli.output import Exit, Json, errors_shown, note, print_json
from rehost.compute.driver import Image
from rehost.compute.local import LocalDriver
from rehost.core.errors import InvalidValueError

Told = Callable[[int, float], None]


Against = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N=PATH",
        help="Compare this disk (or file), attached to this host and written by nobody, in place of the"
        " image's own disk N; repeat it for more. Needs root.",
        show_default=False,
    ),
]
DigestFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Compare nothing here: write the digests to FILE, for `rehost-agent verify FILE` on the source.",
        show_default=False,
    ),
]
Most = Annotated[int, typer.Option(min=0, help="Name this many of the extents that differ.")]


def verify(
    image_id: ImageId,
    against: Against = None,
    digests: DigestFile = None,
    extents: Most = 10,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Compare an image with the digests that its run left, and name the first extents that differ.

    All that the image has of its source is read; the digests themselves are checked by the root that source
    and receiver agreed on. What the conversion changed lies in a layer of its own, and is no difference.

    A source that was stopped is compared by --digests and the agent, or by --against where its disks are
    attached to this host. See `rehost-agent verify --help` for what such a comparison can tell.

    Exit code 5: something differs, or is damaged.
    """
    with errors_shown(as_json):
        if against and digests:
            raise InvalidValueError("--against and --digests exclude each other", "give one of them")
        subject = _subject(data, image_id)
        if digests is not None:
            subject.write(digests)
            disks = []
        else:
            with Bars(quiet=as_json) as bars:
                disks = (
                    subject.against(against, extents, bars.show)
                    if against
                    else subject.own(extents, bars.show)
                )
    _print(subject, disks, as_json)
    if not all(disk.equal for disk in disks):
        raise typer.Exit(Exit.DIFFERENT)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One disk, for people and for programs."""

    equal: bool
    lines: tuple[str, ...]
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Subject:
    """An image, and what is known of its run."""

    driver: LocalDriver
    image: Image
    record: Record

    def own(self, most: int, told: Told) -> list[_Shown]:
        """Its own disks, compared; `most` extents of each are named."""
        return [
            _Shown(found.equal, tuple(imagecheckview.lines(found, most)), imagecheckview.as_json(found, most))
            for found in check(self.driver, self.image, self.record, told)
        ]

    def against(self, words: list[str], most: int, told: Told) -> list[_Shown]:
        """Disks of this host in their place, named by N=PATH."""
        run = self.driver.sealed_run(self.image.id)
        header = header_of(run, self.image, self.record)
        paths = chosen(header.disks, parse_named(words))
        shown = []
        for volume, disk in zip(run.volumes, header.disks, strict=True):
            number = volume.shape.volume
            if number in paths:
                with volume.digests() as digests:
                    found = verify_disk(
                        disk, digests, paths[number], self.record.copied, partial(told, number)
                    )
                text = tuple(verifyview.lines(found, most))
                shown.append(_Shown(found.comparison.equal, text, verifyview.as_json(found, most)))
        return shown

    def write(self, path: Path) -> None:
        """Its digests, for the agent on the source."""
        run = self.driver.sealed_run(self.image.id)
        header = header_of(run, self.image, self.record)
        with ExitStack() as stack:
            digestfile.write(path, header, [stack.enter_context(volume.digests()) for volume in run.volumes])
        note(f"on the source, at rest: rehost-agent verify {path.name}")


def _subject(data: Path, image_id: str) -> _Subject:
    driver = datafolder.driver_on(data)
    image = driver.image(image_id)
    with closing(datafolder.open_store(data)) as store:
        return _Subject(driver, image, record_of(store, image_id))


def _print(subject: _Subject, disks: list[_Shown], as_json: bool) -> None:
    image, record = subject.image, subject.record
    if as_json:
        about = {"image": image.id, "job": image.job, "run": record.run or None}
        print_json(about | {"disks": [disk.record for disk in disks]})
        return
    for disk in disks:
        print("\n".join(disk.lines))
    if not record.run:
        note(
            f"the job of {image.id} was deleted: only the seal vouches for the digests, no record of the run"
        )
