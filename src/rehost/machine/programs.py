"""Programs of the host that rehost runs, and the Debian packages they come in."""

import os
import shutil
from pathlib import Path

from rehost.core.errors import MissingProgramError

PACKAGES = {
    "apt-get": "apt",
    "busybox": "busybox-static",
    "dpkg-deb": "dpkg",
    "e2fsck": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    "mksquashfs": "squashfs-tools",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "sfdisk": "fdisk",
}

_MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on the PATH of ordinary users


def find(name: str) -> Path:
    """Where a program is; MissingProgramError says which package has it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_FOLDERS])
    found = shutil.which(name, path=path)
    if found is None:
        package = PACKAGES.get(name, name)
        raise MissingProgramError(
            f"the program {name} is not installed on this host", f"on Debian: apt-get install {package}"
        )
    return Path(found)
