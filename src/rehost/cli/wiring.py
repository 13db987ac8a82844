"""The composition root of `rehost serve`: a host, and the API on top of it."""

import json
import logging
import os
import resource
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rehost.api.app import App
from rehost.api.services import Services
from rehost.api.serving import BACKLOG, server
from rehost.api.throttling import Throttle
from rehost.api.wakeups import Wakeups
from rehost.block.durable import remove_file, write_file
from rehost.cli import firstkey, hosting, keyring
from rehost.cli.agentfiles import AgentFiles
from rehost.cli.converter import HelperVmConverter
from rehost.cli.hosting import Hosting, Machinery
from rehost.cli.keyring import Keyring
from rehost.cli.receiver_child import ReceiverChild
from rehost.cli.serve import ANNOUNCEMENT, Ready, ServeConfig, Serving
from rehost.compute.driver import Driver
from rehost.compute.local.driver import LocalDriver
from rehost.core.errors import DataFolderError, InvalidValueError
from rehost.flow.lifecycle import Lifecycle
from rehost.flow.ports import Converter
from rehost.flow.post import Poster
from rehost.flow.webhooks import WebhookDispatcher
from rehost.store.hosts import HostKind
from rehost.store.store import Store

_log = logging.getLogger(__name__)


MOST_FILES = 65_536


def run(config: ServeConfig, ready: Ready, machinery: Machinery) -> None:
    """See `cli.serve.serve`."""
    config = replace(config, data=config.data.resolve())
    _allow_many_connections()
    with hosting.folder(config) as storage:
        keys = keyring.ensure(config.data / "keys", config.addresses)
        with ExitStack() as stack:
            listener = stack.enter_context(_listener(config.listen))
            host = hosting.begin(config, HostKind.SERVER, keys, storage, machinery, stack)
            _serve(config, keys, host, listener, ready, stack)
        hosting.end(host)


def _serve(
    config: ServeConfig, keys: Keyring, host: Hosting, listener: socket.socket, ready: Ready, stack: ExitStack
) -> None:
    dispatcher = WebhookDispatcher(host.store, Poster(host.limits.local_webhooks))
    dispatcher.start()
    stack.callback(dispatcher.close)
    wakeups = Wakeups(host.store.assignments.versions)
    http = server(App(_services(config, keys, host, wakeups)), wakeups, keys.server_certificate,
                  keys.server_key)  # fmt: skip

    def end(*_: object) -> None:
        host.stopping.set()
        http.should_exit = True

    with hosting.signals(end):
        serving = _introduce(config, keys, host.store, listener, host.receiver)
        stack.callback(remove_file, config.data / ANNOUNCEMENT)
        ready(serving)
        _log.info("serving at %s, data plane at port %d", serving.endpoint, serving.receiver_port)
        http.run(sockets=[listener])
        host.stopping.set()
        _log.info("ending")


def _services(config: ServeConfig, keys: Keyring, host: Hosting, wakeups: Wakeups) -> Services:
    files = AgentFiles(_cache(config) / "agent", keys.ca_pem())
    files.build_in_background()
    return Services(
        host.store,
        Lifecycle(host.store, host.engine, host.upkeep.wake),
        wakeups,
        files.install_script,
        files.file,
        job_quota=host.limits.replication_jobs,
        webhook_quota=host.limits.webhooks,
        code_quota=host.limits.access_tokens,
        workgroup_quota=host.limits.workgroups,
        throttle=Throttle(host.limits),
        instance_roles=host.driver.instance_roles,
    )


def local_machinery(config: ServeConfig, volumes: Path) -> tuple[Driver, Converter]:
    """Folders and QEMU on this host."""
    return LocalDriver(config.data, volumes), HelperVmConverter(_cache(config))


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
