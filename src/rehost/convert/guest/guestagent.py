"""qemu-guest-agent into the guest, by the guest's own dpkg."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from . import packages, system
from .conversion import Guest
from .job import JobPackages

NAME = "qemu-guest-agent"
_POLICY = "#!/bin/sh\n# No service is started while the system is being converted.\nexit 101\n"


def install(
    guest: Guest, at_hand: JobPackages | None, installed: packages.Installed, codename: str
) -> list[str]:
    """The packages installed, with their versions; a note says why there are none."""
    if NAME in installed.versions:
        return []
    if at_hand is None or at_hand.codename != codename:
        guest.notes.append(
            f"{NAME} is not installed and no package for {codename or 'this release'} is at hand"
        )
        return []
    try:
        chosen = packages.missing(NAME, at_hand.packages, installed)
    except packages.UnmetError as error:
        guest.notes.append(f"{NAME} was not installed: it needs {error}")
        return []
    return _with_dpkg(guest, chosen)


def _with_dpkg(guest: Guest, chosen: Sequence[packages.Package]) -> list[str]:
    folder = guest.tree.root / "run/rehost-packages"
    with _Chroot(guest.tree.root):
        folder.mkdir()
        for package in chosen:
            shutil.copy(package.file, folder)
        files = [f"/run/rehost-packages/{Path(package.file).name}" for package in chosen]
        try:
            _dpkg(guest.tree.root, "--install", *files)
        except system.GuestError as error:
            # A guest without its agent boots; one with packages half installed is worse off than before.
            _dpkg(guest.tree.root, "--purge", "--force-depends", *(package.name for package in chosen))
            guest.notes.append(f"{NAME} was not installed: {error.what[-500:]}")
            return []
    return [f"{package.name} {package.version}" for package in chosen]


def _dpkg(root: Path, *arguments: str) -> None:
    # The overlay is thrown away if anything goes wrong, so that dpkg's many fsyncs protect nothing here.
    environment = ("DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C")
    system.run("chroot", str(root), "env", "-i", *environment, "dpkg", "--force-unsafe-io", *arguments)


class _Chroot:
    """What programs in the guest's tree need around them, and a policy that no service is started."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._policy = root / "usr/sbin/policy-rc.d"
        self._kept: bytes | None = None

    def __enter__(self) -> None:
        self._kept = self._policy.read_bytes() if self._policy.exists() else None
        self._policy.write_text(_POLICY)
        self._policy.chmod(0o755)
        for name, kind in (("proc", "proc"), ("sys", "sysfs"), ("dev", "devtmpfs"), ("run", "tmpfs")):
            system.mount(kind, self._root / name, kind)

    def __exit__(self, *_: object) -> None:
        for name in ("run", "dev", "sys", "proc"):
            system.unmount(self._root / name)
        if self._kept is None:
            self._policy.unlink()
        else:
            self._policy.write_bytes(self._kept)
