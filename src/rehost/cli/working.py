"""The composition root of `rehost worker`: a host without an API."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from rehost.agent import ending
from rehost.cli import datafolder, hosting, keyring
from rehost.cli.hosting import Machinery
from rehost.cli.serve import ServeConfig
from rehost.core.errors import InvalidValueError
from rehost.store.hosts import HostKind

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Working:
    """What a started worker says of itself."""

    id: str
    name: str
    receiver_port: int


def run(config: ServeConfig, ready: Callable[[Working], None], machinery: Machinery) -> None:
    """Work until SIGTERM or SIGINT; `ready` is called once everything listens. From the main thread only.

    Of the config, `listen` means nothing here. DataFolderError without the keys of a control plane, or when
    the folder cannot be used; HostError when it does not go together with the other hosts;
    InvalidValueError without a database that can be shared.
    """
    config = replace(config, data=config.data.resolve())
    with hosting.folder(config) as storage:
        if not isinstance(datafolder.records(config.data, config.database), str):
            raise InvalidValueError(
                "a worker needs the database of a control plane", "give it with --database postgresql://…"
            )
        keyring.present(config.data / "keys")
        keys = keyring.ensure(config.data / "keys", config.addresses)
        with ExitStack() as stack:
            host = hosting.begin(config, HostKind.WORKER, keys, storage, machinery, stack)
            with hosting.signals(ending.sets(host.stopping)):
                ready(Working(host.presence.id, host.presence.name, host.receiver.port or 0))
                _log.info("working as %s, data plane at port %d", host.presence.name, host.receiver.port or 0)
                ending.wait_for(host.stopping)
                _log.info("ending")
        hosting.end(host)
