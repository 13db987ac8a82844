"""`rehost image boot`: an image as a virtual machine whose disks forget."""

import signal
import socket
import sys
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Annotated

import typer

from rehost.cli import datafolder
from rehost.cli.options import DATA, Data, ImageId
from rehost.cli.output import Json, errors_shown, note, print_json
from rehost.compute.driver import Image
from rehost.compute.local import LocalDriver
from rehost.compute.local.boot import BootOptions, boot
from rehost.core.errors import InvalidValueError, MachineError

SshPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="A port of this host's loopback address that leads to the guest's ssh; 0: any free one.",
        show_default="none",
    ),
]
Vnc = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Show the screen by VNC on the loopback address, display N (port 5900 + N).",
        show_default="no screen",
    ),
]
Online = Annotated[
    bool,
    typer.Option(
        "--online", help="Let the guest out through this host; without it the copy can disturb nobody."
    ),
]
Address = Annotated[
    str,
    typer.Option(
        metavar="IP/PREFIX",
        help="The address that the guest gives itself.",
        show_default="as its boot check saw",
    ),
]
Console = Annotated[
    Path | None,
    typer.Option(help="Write the serial console to this file.", show_default="this terminal"),
]


def boot_image(
    image_id: ImageId,
    memory: Annotated[int, typer.Option(min=64, help="MiB of memory.")] = 1024,
    cpus: Annotated[int, typer.Option(min=1, help="Processors.")] = 2,
    ssh_port: SshPort = None,
    vnc: Vnc = None,
    online: Online = False,
    address: Address = "",
    console: Console = None,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Run an image as a virtual machine until the guest ends; what it writes is lost.

    The serial console is on this terminal. Ctrl-A X ends the machine, Ctrl-C goes to the guest. With --json
    there is no console here, but an object about the machine when it runs.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # tidy up on the way out
    with errors_shown(as_json):
        driver = datafolder.driver_on(data)
        image = driver.image(image_id)
        options = BootOptions(
            memory=memory,
            cpus=cpus,
            ssh_port=_free_port() if ssh_port == 0 else ssh_port,
            vnc_display=vnc,
            online=online,
            address=_interface(address) if address else _seen_address(driver, image),
            console=console or (Path("/dev/null") if as_json else None),
        )
        status = boot(image, options, data / "cache", lambda pid: _tell(image, options, pid, as_json))
        if status:
            raise MachineError(f"QEMU ended with the exit status {status}", "its own message is above")


def _tell(image: Image, options: BootOptions, pid: int, as_json: bool) -> None:
    if as_json:
        print_json(
            {"image": image.id, "pid": pid, "ssh_port": options.ssh_port, "vnc_display": options.vnc_display}
        )
        sys.stdout.flush()
        return
    note(f"{image.id} runs on disks that forget; Ctrl-A X ends it")
    if options.ssh_port is not None:
        note(f"ssh -p {options.ssh_port} USER@127.0.0.1")
    if options.vnc_display is not None:
        note(f"VNC: 127.0.0.1:{options.vnc_display}")


def _seen_address(driver: LocalDriver, image: Image) -> IPv4Interface | None:
    """What the guest called its own in the boot check: a fixed address of the source is found by ssh, too."""
    evidence = driver.boot_evidence(image.id)
    told = evidence.guest.addresses if evidence and evidence.guest else ()
    addresses = (line.split()[-1] for line in told)
    return next((IPv4Interface(address) for address in addresses if ":" not in address), None)


def _interface(text: str) -> IPv4Interface:
    try:
        return IPv4Interface(text)
    except ValueError as error:
        raise InvalidValueError(f"{text} is no address: {error}", "write it like 192.0.2.10/24") from error


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
