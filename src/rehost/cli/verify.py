"""`rehost verify`: is an image, or a disk that stands still, what its run copied?"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from rehost.agent import verifyview
from rehost.agent.verifying import chosen, parse_named
from rehost.agent.verifying import verify as verify_disk
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


def verify(
    image_id: ImageId,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N=PATH",
            help="Compare this disk (or file), attached to this host and written by nobody, in place of the"
            " image's own disk N; repeat it for more. Needs root.",
            show_default=False,
        ),
    ] = None,
    digests: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Compare nothing here: write the digests to FILE, for `rehost-agent verify FILE` on the"
            " source.",
            show_default=False,
        ),
    ] = None,
    extents: Annotated[int, typer.Option(min=0, help="Name this many of the extents that differ.")] = 10,
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
        driver = datafolder.driver_on(data)
        image = driver.image(image_id)
        with closing(datafolder.open_store(data)) as store:
            record = record_of(store, image_id)
        if digests is not None:
            _write(driver, image, record, digests)
            note(f"on the source, at rest: rehost-agent verify {digests.name}")
            disks = []
        else:
            with Bars(quiet=as_json) as bars:
                disks = (
                    _against(driver, image, record, against, extents, bars.show)
                    if against
                    else _own(driver, image, record, extents, bars.show)
                )
    _print(image, record, disks, as_json)
    if not all(disk.equal for disk in disks):
        raise typer.Exit(Exit.DIFFERENT)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One disk, for people and for programs."""

    equal: bool
    lines: tuple[str, ...]
    record: dict[str, Any]


def _own(driver: LocalDriver, image: Image, record: Record, most: int, told: Told) -> list[_Shown]:
    return [
        _Shown(found.equal, tuple(imagecheckview.lines(found, most)), imagecheckview.as_json(found, most))
        for found in check(driver, image, record, told)
    ]


def _against(
    driver: LocalDriver, image: Image, record: Record, words: list[str], most: int, told: Told
) -> list[_Shown]:
    run = driver.sealed_run(image.id)
    header = header_of(run, image, record)
    paths = chosen(header.disks, parse_named(words))
    shown = []
    for volume, disk in zip(run.volumes, header.disks, strict=True):
        number = volume.shape.volume
        if number in paths:
            with volume.digests() as digests:
                found = verify_disk(disk, digests, paths[number], record.copied, partial(told, number))
            text = tuple(verifyview.lines(found, most))
            shown.append(_Shown(found.comparison.equal, text, verifyview.as_json(found, most)))
    return shown


def _write(driver: LocalDriver, image: Image, record: Record, path: Path) -> None:
    run = driver.sealed_run(image.id)
    header = header_of(run, image, record)
    with ExitStack() as stack:
        digestfile.write(path, header, [stack.enter_context(volume.digests()) for volume in run.volumes])


def _print(image: Image, record: Record, disks: list[_Shown], as_json: bool) -> None:
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
