import threading
from pathlib import Path

import pytest

from rehost.convert.cache import built_once


def test_a_folder_is_built_by_one_and_used_by_all(tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(folder: Path) -> None:
        builds.append(folder)
        (folder / "file").write_text("content")

    results: list[str] = []

    def use() -> None:
        results.append((built_once(tmp_path / "cache/thing", build) / "file").read_text())

    threads = [threading.Thread(target=use) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["content"] * 5
    assert len(builds) == 1


def test_a_build_that_fails_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError):
        built_once(tmp_path / "thing", fail)
    assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]
    assert built_once(tmp_path / "thing", lambda folder: (folder / "x").touch()).is_dir()
