from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.api.world import Certificates, World, make_certificates, serving_on


@pytest.fixture(autouse=True, scope="session")
def plain_tracebacks() -> None:
    """As `rehost serve` logs them; structlog's own take ten seconds to print a whole store."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


@pytest.fixture
def world(tmp_path: Path, records: Path | str) -> Iterator[World]:
    made = World.make(tmp_path, records)
    yield made
    made.store.close()


@pytest.fixture
def port(world: World) -> Iterator[int]:
    """Where the application speaks plain HTTP."""
    with serving_on(world.services) as bound:
        yield bound


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_port(world: World, certificates: Certificates) -> Iterator[int]:
    """Where the application speaks HTTPS."""
    with serving_on(world.services, certificates.certificate, certificates.key) as bound:
        yield bound
