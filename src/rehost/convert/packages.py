"""Debian packages for guests, fetched once per release into the cache."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rehost.convert import recipe
from rehost.convert.cache import built_once
from rehost.convert.guest.guestagent import NAME
from rehost.convert.guest.packages import Package
from rehost.core.errors import ConversionError
from rehost.machine.programs import find

CODENAMES = {
    "11": "bullseye",
    "12": "bookworm",
    "13": "trixie",
}  # releases with a keyring on a Debian 12 host
_FORMAT = "${Package}\t${Version}\t${Pre-Depends}\t${Depends}\t${Provides}\n"


@dataclass(frozen=True, slots=True)
class PackageSet:
    """The guest agent with all that it needs, down to the C library."""

    codename: str
    folder: Path
    packages: tuple[Package, ...]  # `file` is a name in the folder

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.folder / package.file for package in self.packages)


def codename_of(platform: str, version: str) -> str | None:
    """The release of a source server, if packages for it can be had."""
    return CODENAMES.get(version.split(".")[0]) if platform.lower().startswith("debian") else None


def guest_agent(codename: str, cache: Path) -> PackageSet:
    """The packages from the cache, fetched if they are not there; ConversionError when that fails."""
    folder = built_once(cache / "guest-packages" / codename, lambda folder: _fetch(codename, folder))
    return PackageSet(codename, folder, tuple(_described(sorted(folder.glob("*.deb")))))


def _fetch(codename: str, folder: Path) -> None:
    """mmdebstrap's variant `extract` resolves and downloads without installing; its root is thrown away."""
    fetched = folder / "archives"
    argv = [
        *(str(find("mmdebstrap")), "--quiet", "--variant=extract", "--format=null", f"--include={NAME}"),
        f"--extract-hook=copy-out /var/cache/apt/archives {folder}",
        *(codename, "/dev/null", *([recipe.MIRROR] if recipe.MIRROR else [])),
    ]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()[-500:]
        raise ConversionError(f"no packages for {codename}: mmdebstrap ended with {done.returncode}: {text}")
    for package in fetched.glob("*.deb"):
        package.rename(folder / package.name)
    shutil.rmtree(fetched)


def _described(files: Sequence[Path]) -> list[Package]:
    return [_describe(file) for file in files]


def _describe(file: Path) -> Package:
    argv = [str(find("dpkg-deb")), "--show", f"--showformat={_FORMAT}", str(file)]
    text = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    name, version, before, depends, provides = re.sub(r"\n ", " ", text).rstrip("\n").split("\t")
    return Package(name, version, file.name, ", ".join(filter(None, [before, depends])), provides)
