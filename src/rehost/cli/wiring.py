"""The composition root of `rehost serve`: everything is made here, handed to each other, and closed."""

import json
import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from rehost.api import gateway, limits
from rehost.api.app import create_app
from rehost.api.services import Services
from rehost.api.serving import BACKLOG, server
from rehost.api.throttling import Throttle
from rehost.api.wakeups import Wakeups
from rehost.block.durable import remove_file, write_file
from rehost.cli import datafolder, firstkey, keyring, logs
from rehost.cli.agentfiles import AgentFiles
from rehost.cli.converter import HelperVmConverter
from rehost.cli.door import LocalDoor
from rehost.cli.keyring import Keyring
from rehost.cli.receiver_child import ReceiverChild
from rehost.cli.serve import ANNOUNCEMENT, Ready, ServeConfig, Serving
from rehost.compute.driver import Driver
from rehost.compute.local.driver import LocalDriver
from rehost.core.errors import DataFolderError, InvalidValueError
from rehost.flow.dbos_engine import DbosEngine
from rehost.flow.lifecycle import Lifecycle
from rehost.flow.ports import Converter
from rehost.flow.post import Poster
from rehost.flow.run import NAME, RunWorkflow
from rehost.flow.steps import Steps
from rehost.flow.upkeep import Upkeep
from rehost.flow.webhooks import WebhookDispatcher
from rehost.store import postgresql
from rehost.store.store import Store

_log = logging.getLogger(__name__)


MOST_FILES = 65_536

Machinery = Callable[[ServeConfig], tuple[Driver, Converter]]


def run(config: ServeConfig, ready: Ready, machinery: Machinery) -> None:
    """See `cli.serve.serve`."""
    config = replace(config, data=config.data.resolve())
    _allow_many_connections()
    datafolder.check_servable(config.data)
    with datafolder.served(config.data):
        logs.configure(config.data / "logs")
        keys = keyring.ensure(config.data / "keys", config.addresses)
        with ExitStack() as stack:
            listener = stack.enter_context(_listener(config.listen))
            records = datafolder.records(config.data, config.database)
            store = _open(config, records, keys, stack)
            engine = _serve(config, keys, store, records, listener, ready, machinery, stack)
        if engine.busy:
            # A step cannot be interrupted, and a process waits for its threads. Nothing is lost: what it had
            # not finished is done again at the next start, as after any other sudden end.
            logging.shutdown()
            os._exit(0)


def _open(config: ServeConfig, records: Path | str, keys: Keyring, stack: ExitStack) -> Store:
    """The records, held by this process alone: until work is handed over between control planes, a second one
    on the same database would take up the first one's runs."""
    if isinstance(records, str):
        stack.enter_context(postgresql.held(records))
    datafolder.prepare(config.data, records)
    store = Store.open(records, keys.secrets_keys)
    stack.callback(store.close)
    return store


def _serve(
    config: ServeConfig,
    keys: Keyring,
    store: Store,
    records: Path | str,
    listener: socket.socket,
    ready: Ready,
    machinery: Machinery,
    stack: ExitStack,
) -> DbosEngine:
    known = limits.load(config.data / limits.FILE, gateway.action_names())
    store.audit.kept_days = known.audit_days
    store.room.limits = known.running_jobs
    receiver = ReceiverChild(config.data, config.receive_listen, known.worker_bandwidth)
    receiver.start()
    stack.callback(receiver.close)
    door = LocalDoor(keys.ticket_key(), lambda: receiver.port)
    driver, converter = machinery(config)
    stopping = threading.Event()
    steps = Steps(store, driver, converter, door, stopping.is_set)
    engine = DbosEngine(datafolder.engine_records(config.data, records), {NAME: RunWorkflow(steps)})
    stack.callback(engine.close)
    stack.callback(stopping.set)
    upkeep = Upkeep(store, engine, driver, door)
    upkeep.start()
    stack.callback(upkeep.close)
    files = AgentFiles(_cache(config) / "agent", keys.ca_pem())
    files.build_in_background()
    wakeups = Wakeups(store.assignments.versions)
    lifecycle = Lifecycle(store, engine, upkeep.wake)
    dispatcher = WebhookDispatcher(store, Poster(known.local_webhooks))
    dispatcher.start()
    stack.callback(dispatcher.close)
    services = Services(
        store,
        lifecycle,
        wakeups,
        files.install_script,
        files.file,
        job_quota=known.replication_jobs,
        webhook_quota=known.webhooks,
        throttle=Throttle(known),
        instance_roles=driver.instance_roles,
    )
    app = create_app(services)
    http = server(app, wakeups, keys.server_certificate, keys.server_key)

    def end(*_: object) -> None:
        stopping.set()
        http.should_exit = True

    with _signals(end):
        serving = _introduce(config, keys, store, listener, receiver)
        stack.callback(remove_file, config.data / ANNOUNCEMENT)
        ready(serving)
        _log.info("serving at %s, data plane at port %d", serving.endpoint, serving.receiver_port)
        http.run(sockets=[listener])
        stopping.set()
        _log.info("ending")
    return engine


def local_machinery(config: ServeConfig) -> tuple[Driver, Converter]:
    """Folders and QEMU on this host."""
    return LocalDriver(config.data), HelperVmConverter(_cache(config))


def _cache(config: ServeConfig) -> Path:
    return (config.helper_cache or config.data / "cache").resolve()


def _introduce(
    config: ServeConfig, keys: Keyring, store: Store, listener: socket.socket, receiver: ReceiverChild
) -> Serving:
    port = listener.getsockname()[1]
    endpoint = f"https://{_host(config, listener)}:{port}"
    key_file = firstkey.ensure(config.data, store, endpoint, keys.ca_certificate)
    serving = Serving(
        endpoint=endpoint,
        port=port,
        receiver_port=receiver.port or 0,
        pid=os.getpid(),
        ca_file=str(keys.ca_certificate),
        pin=keys.pin(),
        first_key_file=str(key_file or ""),
    )
    content = {name: getattr(serving, name) for name in Serving.__slots__}
    write_file(config.data / ANNOUNCEMENT, json.dumps(content, indent=1).encode())
    return serving


def _host(config: ServeConfig, listener: socket.socket) -> str:
    """The announced name; without --address the place that it listens at, or this host's own."""
    if config.addresses:
        host = config.addresses[0]
    else:
        bound = listener.getsockname()[0]
        host = socket.gethostname() if bound in ("0.0.0.0", "::") else bound
    return f"[{host}]" if ":" in host else host


def _listener(listen: str) -> socket.socket:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InvalidValueError(
            f"{listen!r} is not HOST:PORT", "write for example 0.0.0.0:8443, or port 0 for any"
        )
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        raise DataFolderError(
            f"cannot listen on {listen}: {error.strerror}", "choose another place with --listen"
        ) from error


def _allow_many_connections() -> None:
    """Each open connection is a file: a few clients that hold theirs open are not to keep the others out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@contextmanager
def _signals(end: Callable[..., None]) -> Iterator[None]:
    """SIGTERM and SIGINT end the service. The HTTP server takes them over while it runs, and raises them
    again when it is done: without a handler here they would end the process before it has cleaned up."""
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
