"""Runs after 1 % of the disk was changed, and after the same change on disks of other sizes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from bench import disk as source
from bench.contenders.contender import Contender
from bench.contenders.nbd import NbdCopy
from bench.contenders.rehost import Rehost
from bench.contenders.rsync import Rsync
from bench.place import Place, loopback
from bench.plan import Plan
from bench.result import Comparison
from bench.trial import Trial, alternate, attempt
from tests.loopdisks import LoopDisk, LoopDisks, loop_disks

_GIB = 1 << 30
_CHANGED = 100 * source.MIB  # on every disk of the growth


def one_percent(plan: Plan) -> Comparison:
    """Every contender brings its copy of the round before up to date, after each change of the disk."""
    with _scene(plan) as (folder, disks, place, left):
        made = source.make(disks, int(plan.size * _GIB))
        content = source.content()
        source.fill(made, content)
        ours = [
            Rehost(folder, keeps=True),
            Rehost(folder, name="rehost, by digest", keeps=True, trusts=False),
        ]
        contenders: list[Contender] = [*ours, NbdCopy(folder), Rsync(folder)]
        for contender in contenders:
            left.callback(contender.clear)
            attempt(contender, place, made)
        trials: list[Trial] = []
        for number in range(plan.rounds):
            source.change(made, content, made.size // 100, seed=number)
            trials += alternate(contenders, 1, partial(_again, place, made))
        for one in ours:
            one.check(made, disks)
        note = (
            f"{plan.size:g} GiB, of which 1 % was rewritten: files in place, and for a fiftieth of it"
            f" blocks of 4 KiB anywhere; {_of_runs(ours[0])}"
        )
        return Comparison("incremental", "Incremental run, 1 % changed", note, "rsync", tuple(trials))


@contextmanager
def _scene(plan: Plan) -> Iterator[tuple[Path, LoopDisks, Place, ExitStack]]:
    """A folder, disks, where copies go, and what has to be cleared before the disks go."""
    with plan.scratch() as folder, loop_disks(folder) as disks, loopback() as place, ExitStack() as left:
        yield folder, disks, place, left


def growth(plan: Plan) -> Comparison:
    """Disks of three sizes, with the same files on them and the same change."""
    trials: list[Trial] = []
    sizes = (1, 4, 16) if plan.quick else (4, 16, 64)
    with _scene(plan) as (folder, disks, place, left):
        content = source.content()
        grown = [_Grown(folder, disks, size, content) for size in sizes]
        for disk in grown:
            left.callback(disk.contender.clear)
            attempt(disk.contender, place, disk.disk)
        for number in range(plan.rounds):
            for disk in grown:
                source.change(disk.disk, content, _CHANGED, seed=number)
            trials += alternate([disk.contender for disk in grown], 1, partial(_attempt, place, grown))
        for disk in grown:
            disk.contender.check(disk.disk, disks)
        told = "; ".join(f"{disk.contender.name}: {_of_runs(disk.contender)}" for disk in grown)
    note = f"sparse disks with the same 0.4 GiB of files, of which 100 MiB were rewritten as above. {told}"
    return Comparison("growth", "Incremental run, the same change", note, f"{sizes[0]} GiB", tuple(trials))


def _again(place: Place, disk: LoopDisk, contender: Contender) -> Trial:
    return attempt(contender, place, disk)


class _Grown:
    def __init__(self, folder: Path, disks: LoopDisks, size: int, content: source.Content) -> None:
        self.disk: LoopDisk = source.make(disks, size * _GIB)
        source.fill(self.disk, content, amount=900 * source.MIB)
        self.contender = Rehost(folder, name=f"{size} GiB", keeps=True)


def _attempt(place: Place, grown: Sequence[_Grown], contender: Contender) -> Trial:
    (disk,) = (one.disk for one in grown if one.contender is contender)
    return attempt(contender, place, disk)


def _of_runs(contender: Rehost) -> str:
    """What the control plane does between runs, and what a run leaves."""
    later = contender.reports[1:]
    return (
        f"between runs sealing one and making the next one's layer took {median(contender.layering):.2f} s;"
        f" of {median(report.read for report in later) / 1e6:.0f} MB read,"
        f" {median(contender.stored) / 1e6:.0f} MB are stored; the rounds before the last one took"
        f" {median(sum(past.seconds for past in report.rounds[:-1]) for report in later):.2f} s, the last one"
        f" {median(report.rounds[-1].seconds for report in later):.2f} s with a freeze of"
        f" {median(report.freeze_seconds for report in later):.2f} s (medians)"
    )
