"""Fixtures of several parts' tests, and what a run says at its end."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from rehost.store.database import Database
from rehost.store.store import DATABASE_FILE
from tests.loopdisks import LoopDisks, loop_disks
from tests.postgresql import Cluster, cluster

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("untimed")


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[LoopDisks]:
    """Real disks on loop devices; gone after the test."""
    with loop_disks(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where things that take long to make are kept between runs (source machines, the helper VM)."""
    folder = Path(os.environ.get("REHOST_CACHE", Path(__file__).parents[1] / ".cache")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture(scope="module")
def restarted() -> Iterator[Cluster]:
    """A server for tests that stop it under others' feet."""
    with cluster() as made:
        yield made


@pytest.fixture
def url(postgresql: Cluster) -> Iterator[str]:
    """Of a new database without a table."""
    made = postgresql.make(empty=True)
    yield made
    postgresql.drop(made)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite with the newest schema: to copy it takes a sixth of the time that it takes to make one."""
    file = tmp_path_factory.mktemp("records") / DATABASE_FILE
    Database.open(file).close()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where the test's records are, as `Store.open` takes it: each test is run on both."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_file"), tmp_path)
        yield tmp_path
        return
    made: Cluster = request.getfixturevalue("postgresql")
    url = made.make()
    yield url
    made.drop(url)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with virtual machines first: they take longest, and so two workers end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("vm") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A test that was skipped proves nothing: say so last, where it is read."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in reports)
    terminalreporter.section("skipped")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count} x {reason}")
    terminalreporter.line(f"{len(reports)} tests were skipped" if reports else "nothing was skipped")
    if left_out := terminalreporter.stats.get("deselected"):
        terminalreporter.line(f"{len(left_out)} tests were not asked for (long repetitions: make lab)")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Skips carry (file, line, reason); expected failures only their own text."""
    where = report.longrepr
    return str(where[2]).removeprefix("Skipped: ") if isinstance(where, tuple) else report.nodeid
