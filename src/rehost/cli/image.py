"""`rehost image`: the images on this host, straight from the data folder."""

import signal
import socket
import sys
from contextlib import closing
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rehost.cli import datafolder, imageview
from rehost.cli.options import DATA, Data
from rehost.cli.output import Json, errors_shown, note, print_fields, print_json, print_table, stderr
from rehost.compute.driver import ExportFormat, Image, ImageState
from rehost.compute.local import LocalDriver
from rehost.compute.local.boot import BootOptions, boot
from rehost.core.errors import DataFolderError, InvalidValueError, MachineError, VolumeError

app = typer.Typer(no_args_is_help=True, help="Images: what jobs end in.")
ImageId = Annotated[str, typer.Argument(metavar="IMAGE", help="An image's id, m-….")]


@app.command("list")
def list_images(data: Data = DATA, as_json: Json = False) -> None:
    """List the images, oldest first."""
    with errors_shown(as_json):
        driver = _driver(data)
        found = [_look(driver, image) for image in driver.images()]
    if as_json:
        print_json([imageview.as_json(each) for each in found])
        return
    print_table(imageview.COLUMNS, map(imageview.row, found))


@app.command()
def show(image_id: ImageId, data: Data = DATA, as_json: Json = False) -> None:
    """Show an image: what the conversion changed, how it booted, and where the evidence is."""
    with errors_shown(as_json):
        driver = _driver(data)
        found = _look(driver, driver.image(image_id))
    if as_json:
        print_json(imageview.as_json(found))
        return
    print_fields(imageview.fields(found))


@app.command()
def export(
    image_id: ImageId,
    form: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="qcow2 and raw (sparse) for QEMU and KVM; vhd is dynamic and keeps the size to the byte, for"
            " clouds that import it; vmdk is streamOptimized, as in an OVA.",
        ),
    ] = ExportFormat.QCOW2,
    to: Annotated[
        Path, typer.Option(help="The folder for the files, one per disk; made if need be.", file_okay=False)
    ] = Path("."),
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Write an image's disks as self-contained files; older ones are replaced once the new ones are whole."""
    with errors_shown(as_json):
        driver = _driver(data)
        disks = driver.image(image_id).disks
        with _Bars(quiet=as_json) as bars:
            files = driver.export_image(image_id, form, to, bars.show)
    written = [
        {"volume": disk.volume, "path": file.resolve(), "format": form, "size": disk.size}
        for disk, file in zip(disks, files, strict=True)
    ]
    if as_json:
        print_json(written)
        return
    for file in files:
        print(file)


@app.command()
def delete(image_id: ImageId, data: Data = DATA, as_json: Json = False) -> None:
    """Delete an image for good, and the copy of the source's disks below it if no job or image needs that."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        driver = _driver(data)
        if driver.image(image_id).state is ImageState.BUILDING:
            raise VolumeError(f"the image {image_id} is still being built", "delete its job instead")
        driver.delete_image(image_id)
        store.images.remove(image_id)
    if as_json:
        print_json({"deleted": image_id})


@app.command("boot")
def boot_image(
    image_id: ImageId,
    memory: Annotated[int, typer.Option(min=64, help="MiB of memory.")] = 1024,
    cpus: Annotated[int, typer.Option(min=1, help="Processors.")] = 2,
    ssh_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="A port of this host's loopback address that leads to the guest's ssh; 0: any free one.",
            show_default="none",
        ),
    ] = None,
    vnc: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Show the screen by VNC on the loopback address, display N (port 5900 + N).",
            show_default="no screen",
        ),
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Let the guest out through this host; without it the copy can disturb nobody."
        ),
    ] = False,
    address: Annotated[
        str,
        typer.Option(
            metavar="IP/PREFIX",
            help="The address that the guest gives itself.",
            show_default="as its boot check saw",
        ),
    ] = "",
    console: Annotated[
        Path | None,
        typer.Option(help="Write the serial console to this file.", show_default="this terminal"),
    ] = None,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Run an image as a virtual machine until the guest ends; what it writes is lost.

    The serial console is on this terminal. Ctrl-A X ends the machine, Ctrl-C goes to the guest. With --json
    there is no console here, but an object about the machine when it runs.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # tidy up on the way out
    with errors_shown(as_json):
        driver = _driver(data)
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


def _driver(data: Path) -> LocalDriver:
    if not (data / "images").is_dir():
        raise DataFolderError(f"{data} is no data folder with images", "correct --data")
    return LocalDriver(data)


def _look(driver: LocalDriver, image: Image) -> imageview.Look:
    return imageview.Look(
        image, driver.space(image.id), driver.conversion(image.id), driver.boot_evidence(image.id)
    )


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


class _Bars:
    """One bar per disk, on stderr; nothing when a program reads."""

    def __init__(self, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f} %"))
        self._progress = Progress(*columns, TimeRemainingColumn(), console=stderr(), disable=quiet)
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, volume: int, percent: float) -> None:
        if volume not in self._tasks:
            self._tasks[volume] = self._progress.add_task(f"disk {volume}", total=100.0)
        self._progress.update(self._tasks[volume], completed=percent)
