"""What an image's disk is, as one file that a loop device takes."""

import subprocess
from pathlib import Path


def flat(image: Path, folder: Path) -> Path:
    target = folder / f"{image.name}.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image / "disk-0.qcow2", target], check=True)
    return target
