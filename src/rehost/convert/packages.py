"""Debian packages for guests, fetched once per release into the cache."""

import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from rehost.convert import recipe
from rehost.convert.cache import built_once
from rehost.convert.guest.guestagent import NAME
from rehost.convert.guest.packages import Package, beyond
from rehost.convert.helper_build import Progress
from rehost.core.errors import ConversionError
from rehost.machine.programs import find

CODENAMES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}  # releases that Debian 12 has the keys of
FORMAT = 1  # of the cached folder; a change fetches again
_INDEX = "packages.json"
_FIELDS = ("Package", "Version", "Pre-Depends", "Depends", "Provides", "Essential")


@dataclass(frozen=True, slots=True)
class PackageSet:
    """The guest agent with what a guest may lack of what it needs."""

    codename: str
    folder: Path
    packages: tuple[Package, ...]  # `file` is a name in the folder

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.folder / package.file for package in self.packages)


def codename_of(platform: str, version: str) -> str | None:
    """The release of a source server, if packages for it can be had."""
    number = re.match(r"\d+", version)
    if number is None or not platform.lower().startswith("debian"):
        return None
    return CODENAMES.get(number[0])


def guest_agent(codename: str, cache: Path, progress: Progress = lambda _: None) -> PackageSet:
    """The packages from the cache, fetched if they are not there; ConversionError when that fails."""

    def fetch(folder: Path) -> None:
        progress(f"fetching packages for {codename} (once)")
        _fetch(codename, folder)

    folder = built_once(cache / "guest-packages" / f"{codename}.{FORMAT}", fetch)
    packages = msgspec.json.decode((folder / _INDEX).read_bytes(), type=tuple[Package, ...])
    return PackageSet(codename, folder, packages)


def _fetch(codename: str, folder: Path) -> None:
    archives = folder / "archives"
    _download(codename, folder)
    fields = {file: _fields(file) for file in sorted(archives.glob("*.deb"))}
    essential = [values["Package"] for values in fields.values() if values["Essential"] == "yes"]
    kept = beyond(essential, [_package(file, values) for file, values in fields.items()])
    for package in kept:
        _store_plain(archives / package.file, folder / package.file)
    shutil.rmtree(archives)
    (folder / _INDEX).write_bytes(msgspec.json.format(msgspec.json.encode([asdict(p) for p in kept])))


def _download(codename: str, folder: Path) -> None:
    """mmdebstrap's variant `extract` resolves and downloads without installing; its root is thrown away."""
    argv = [
        *(str(find("mmdebstrap")), "--quiet", "--variant=extract", "--format=null", f"--include={NAME}"),
        f"--extract-hook=copy-out /var/cache/apt/archives {folder}",
        *(codename, "/dev/null", *([recipe.MIRROR] if recipe.MIRROR else [])),
    ]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()[-500:]
        raise ConversionError(f"no packages for {codename}: mmdebstrap ended with {done.returncode}: {text}")


def _fields(file: Path) -> dict[str, str]:
    wanted = "".join(f"${{{name}}}\\t" for name in _FIELDS)
    argv = [str(find("dpkg-deb")), "--show", f"--showformat={wanted}", str(file)]
    text = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    return dict(zip(_FIELDS, text.split("\t"), strict=False))


def _package(file: Path, values: dict[str, str]) -> Package:
    depends = ", ".join(filter(None, [values["Pre-Depends"], values["Depends"]]))
    return Package(values["Package"], values["Version"], file.name, depends, values["Provides"])


def _store_plain(source: Path, target: Path) -> None:
    """The same package with nothing compressed: an emulated guest would take seconds to unpack xz."""
    members = {"debian-binary": b"2.0\n"}
    for member, option in (("control.tar", "--ctrl-tarfile"), ("data.tar", "--fsys-tarfile")):
        argv = [str(find("dpkg-deb")), option, str(source)]
        members[member] = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=True
        ).stdout
    target.write_bytes(ar(members))


def ar(members: dict[str, bytes]) -> bytes:
    """An archive as `ar` writes it and dpkg reads it: headers of 60 bytes, data padded to even length."""
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        parts += [f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()]
        parts += [data, b"\n" * (len(data) % 2)]
    return b"".join(parts)
