"""Several hosts at work in one folder of images: what one deletes does not disturb what the others are at."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rehost.compute.local import folders
from rehost.compute.local.images import Images

_ROUNDS, _FILES = 100, 20


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Again and again, in another thread; what it raises is raised here."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            act()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(repeat)
        try:
            yield
        finally:
            over.set()
        other.result()


def make_and_delete(images: Images, parent: Path) -> None:
    """Images without disks, one after the other."""
    for number in range(_ROUNDS):
        image = images.create(images.describe(f"m-{number}", "j", "r", "name", "", "local"), (), {})
        for file in range(_FILES):
            (image.folder / f"file-{file}").touch()
        images.delete(image.id)
    assert folders.visible(parent) == []


def test_one_deletes_what_another_sweeps_away(tmp_path: Path) -> None:
    with meanwhile(lambda: folders.sweep(tmp_path)):
        make_and_delete(Images(tmp_path), tmp_path)


def test_one_lists_while_another_deletes(tmp_path: Path) -> None:
    images = Images(tmp_path)
    with meanwhile(images.all):
        make_and_delete(images, tmp_path)
