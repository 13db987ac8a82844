"""What each command of `rehost-agent` does; `main` has the words for the command line."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from rehost import __version__
from rehost.agent import config, ending, hooks, identity, logs
from rehost.agent.control import ControlClient, persist
from rehost.agent.install import installation
from rehost.agent.install.installation import Places
from rehost.agent.survey import disks, inventory, machine
from rehost.agent.survey.host import Host
from rehost.block import digestfile
from rehost.core.agentapi import Assignment, Progress, Register, RunReport
from rehost.core.errors import ControlPlaneError, InvalidValueError, RehostError
from rehost.core.server import Inventory, device_name
from rehost.core.units import bytes_text
from rehost.wire import tls

DIFFERENT = 5  # exit code: a disk is not what was copied
REGISTER_PATIENCE = 60.0  # seconds: a control plane that just starts is waited for

log = logging.getLogger(__name__)


def show_inventory(arguments: argparse.Namespace) -> int:
    found = inventory.collect(arguments.disk)
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        sys.stdout.write(inventory_text(found))
    return 0


def inventory_text(found: Inventory) -> str:
    """For people: one line for the server, one for each card, disk and partition."""
    lines = [
        f"{found.hostname}: {found.platform} {found.platform_version}, Linux {found.kernel}, "
        f"{found.architecture}, {found.boot_mode} boot, {found.cores} cores, {bytes_text(found.memory)}"
    ]
    lines += [f"  {card.name}  {card.mac}  {' '.join(card.addresses)}" for card in found.interfaces]
    for disk in found.disks:
        role = "system disk" if disk.index == 0 else f"data disk {disk.index}"
        lines.append(f"{disk.path}  {bytes_text(disk.size)}  {disk.table or 'no partition table'}  ({role})")
        for part in disk.partitions:
            used = "" if part.used is None else f", {bytes_text(part.used)} used"
            lines.append(
                f"  {device_name(disk, part)}  {part.path}  {part.filesystem or 'unknown'}  "
                f"{bytes_text(part.size)}{used}  {part.mount}".rstrip()
            )
    return "\n".join(lines) + "\n"


def register(arguments: argparse.Namespace) -> int:
    """Register, or register again: the same server with the same control plane stays the same source."""
    if not arguments.endpoint or not arguments.ca or not arguments.code:
        raise InvalidValueError(
            "registration needs --endpoint, --ca and the activation code",
            "rehost code create, on the control plane, prints the whole command",
        )
    boot = machine.boot(Host())
    own = identity.prepare(
        arguments.state, arguments.endpoint, _certificate(arguments.ca), boot.hardware, anew=arguments.anew
    )
    request = Register(arguments.code, own.secret, inventory.collect(arguments.disk), __version__)
    client = ControlClient(own.endpoint, own.ca, boot=boot)
    patience = threading.Event()
    timer = threading.Timer(REGISTER_PATIENCE, patience.set)
    timer.daemon = True
    timer.start()
    try:
        answer = persist(lambda: client.register(request), patience, "not registered yet")
    finally:
        timer.cancel()
        client.close()
    if answer is None:
        raise ControlPlaneError(
            f"no registration: {own.endpoint} did not answer for {REGISTER_PATIENCE:.0f} s",
            "check that `rehost serve` runs there and that this server can reach it, then try again",
        )
    identity.save(arguments.state, replace(own, source_id=answer.source_id))
    sys.stdout.write(f"registered as {answer.source_id} at {own.endpoint}\n")
    return 0


def _certificate(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(
            f"{path} cannot be read: {error}", "give the control plane's ca.crt"
        ) from error


def install(arguments: argparse.Namespace) -> int:
    places: Places = arguments.places
    command = installation.install_files(places)
    if arguments.code or arguments.anew or not _is_registered(arguments.state):
        register(arguments)
    service = [*command, *_state_option(arguments.state), "run"]
    service += [word for disk in arguments.disk for word in ("--disk", disk)]
    if installation.start_service(places, service):
        sys.stdout.write(f"{installation.UNIT} is running; its log: journalctl -u {installation.UNIT}\n")
    else:
        sys.stdout.write(
            f"This server has no systemd. Have its init system keep this running:\n  {' '.join(service)}\n"
        )
    return 0


def _is_registered(state: Path) -> bool:
    known = identity.load(state)
    return known is not None and bool(known.source_id)


def _state_option(state: Path) -> list[str]:
    return [] if state == identity.STATE else ["--state", str(state)]


def uninstall(arguments: argparse.Namespace) -> int:
    installation.remove(arguments.places, arguments.state, purge=arguments.purge)
    kept = "" if arguments.purge else f"; its identity is kept in {arguments.state}"
    sys.stdout.write(f"the agent is removed{kept}\n")
    return 0


def status(arguments: argparse.Namespace) -> int:
    own = identity.registered(arguments.state)
    service = installation.service_state(arguments.places) or "no systemd"
    sys.stdout.write(f"source server:  {own.source_id}\ncontrol plane:  {own.endpoint}\n")
    sys.stdout.write(f"service:        {service}\n")
    client = ControlClient(own.endpoint, own.ca, own.authorization, boot=machine.boot(Host()))
    try:
        wanted = client.assignment(0, wait=0).assignment
    finally:
        client.close()
    run = f"run {wanted.run} of job {wanted.job}" if wanted else "nothing"
    sys.stdout.write(f"assigned:       {run}\n")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Work until SIGTERM or SIGINT."""
    from rehost.agent.copy.run import Settings, carry_out  # late: only this command needs all of it
    from rehost.agent.service import Service

    debt = arguments.state / hooks.DEBT
    own = identity.registered(arguments.state)
    context = tls.client_context(own.ca)

    def collect() -> Inventory:
        return inventory.collect(arguments.disk)

    def copy(
        assignment: Assignment, progress: Callable[[Progress], None], stop: threading.Event
    ) -> RunReport:
        allowed = config.load()
        settings = Settings(
            state=arguments.state,
            config=allowed,
            hooks=hooks.Place(hooks.FOLDER, debt, allowed.hook_timeout, allowed.hooks_timeout),
            present=lambda: disks.present(Host(), arguments.disk),
        )
        return carry_out(assignment, collect(), context, progress, stop, settings)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ending.sets(stop))
    with logs.to_standard_error():
        hooks.settle(debt)  # an agent before this one was killed around a freeze
        Service(own, arguments.state, collect, copy).run(stop)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """0 when all disks that are compared equal the run, else DIFFERENT."""
    from rehost.agent.verify import verifyview
    from rehost.agent.verify.verifying import chosen, parse_named
    from rehost.agent.verify.verifying import verify as verify_disk

    header = digestfile.read_header(arguments.file)
    paths = chosen(header.disks, parse_named(arguments.named))
    digestfile.check(arguments.file)
    found = [
        verify_disk(disk, digests, paths[disk.shape.volume], header.copied, _meter(disk.shape.volume))
        for disk, digests in digestfile.readers(arguments.file)
        if disk.shape.volume in paths
    ]
    if arguments.json:
        disks = [verifyview.as_json(each, arguments.extents) for each in found]
        shown = {"image": header.image, "job": header.job, "run": header.run, "disks": disks}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(shown)).decode() + "\n")
    else:
        for each in found:
            sys.stdout.write("\n".join(verifyview.lines(each, arguments.extents)) + "\n")
    return 0 if all(each.comparison.equal for each in found) else DIFFERENT


def _meter(volume: int) -> Callable[[float], None]:
    """What is done, on a terminal."""

    def told(percent: float) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\rdisk {volume}: {percent:.0f} % compared ")
            sys.stderr.write("\n" if percent >= 100 else "")

    return told


def exit_code(error: RehostError) -> int:
    """78 (EX_CONFIG) keeps systemd from starting an agent again that cannot work as it is."""
    return os.EX_CONFIG if error.code == "Agent.IdentityInvalid" else 1
