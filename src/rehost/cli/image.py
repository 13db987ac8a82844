"""`rehost image`: the images on this host, straight from the data folder."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rehost.cli import datafolder, imageboot, imageview
from rehost.cli.bars import Bars
from rehost.cli.options import DATA, Data, ImageId
from rehost.cli.output import Json, errors_shown, print_fields, print_json, print_table
from rehost.compute.driver import ExportFormat, Image, ImageState
from rehost.compute.local import LocalDriver
from rehost.core.errors import VolumeError

app = typer.Typer(no_args_is_help=True, help="Images: what jobs end in.")


@app.command("list")
def list_images(data: Data = DATA, as_json: Json = False) -> None:
    """List the images, oldest first."""
    with errors_shown(as_json):
        driver = datafolder.driver_on(data)
        found = [_look(driver, image) for image in driver.images()]
    if as_json:
        print_json([imageview.as_json(each) for each in found])
        return
    print_table(imageview.COLUMNS, map(imageview.row, found))


@app.command()
def show(image_id: ImageId, data: Data = DATA, as_json: Json = False) -> None:
    """Show an image: what the conversion changed, how it booted, and where the evidence is."""
    with errors_shown(as_json):
        driver = datafolder.driver_on(data)
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
        driver = datafolder.driver_on(data)
        disks = driver.image(image_id).disks
        with Bars(quiet=as_json) as bars:
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
        driver = datafolder.driver_on(data)
        if driver.image(image_id).state is ImageState.BUILDING:
            raise VolumeError(f"the image {image_id} is still being built", "delete its job instead")
        driver.delete_image(image_id)
        store.images.remove(image_id)
    if as_json:
        print_json({"deleted": image_id})


app.command("boot")(imageboot.boot_image)


def _look(driver: LocalDriver, image: Image) -> imageview.Look:
    return imageview.Look(
        image, driver.space(image.id), driver.conversion(image.id), driver.boot_evidence(image.id)
    )
