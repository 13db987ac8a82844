"""fstab and crypttab: stable device names, `nofail` for data. Pure; comments and spacing stay as they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .devices import DeviceNames, is_bound_to_hardware

_FIELDS = re.compile(r"(\s*)(\S+)(\s+)(\S+)(\s+)(\S+)(?:(\s+)(\S+))?(.*)", re.DOTALL)
_CRYPT_FIELDS = re.compile(r"(\s*)(\S+)(\s+)(\S+)(.*)", re.DOTALL)
_BLOCK_SPECS = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")
_SYSTEM = ("boot", "efi", "etc", "lib", "opt", "usr", "var")
_NOT_MOUNTED = {"noauto", "nofail", "bind", "rbind"}


@dataclass(frozen=True, slots=True)
class Mount:
    spec: str
    point: str
    type: str
    options: tuple[str, ...]


def mounts(text: str) -> Iterator[Mount]:
    """The entries of an fstab in their order."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith("#"):
            options = fields[3].split(",") if len(fields) > 3 else []
            yield Mount(fields[0], _unescape(fields[1]), fields[2], tuple(options))


def is_system(point: str) -> bool:
    """Whether the system cannot do without what is mounted there."""
    return point == "/" or point.strip("/").split("/")[0] in _SYSTEM


def edit(text: str, names: DeviceNames) -> str:
    return "".join(_edit_line(line, names) for line in text.splitlines(keepends=True))


def unknown_devices(text: str, names: DeviceNames) -> list[str]:
    """Names that stay bound to the old hardware, since no copied disk has them."""
    specs = [mount.spec for mount in mounts(text)]
    return [spec for spec in specs if is_bound_to_hardware(spec) and names.stable(spec) is None]


def edit_crypttab(text: str, names: DeviceNames) -> str:
    """The second field of each line names the encrypted device."""
    return "".join(_edit_crypt_line(line, names) for line in text.splitlines(keepends=True))


def _edit_line(line: str, names: DeviceNames) -> str:
    match = _FIELDS.fullmatch(line)
    if match is None or match[2].startswith("#"):
        return line
    indent, spec, gap1, point, gap2, kind, gap3, options, rest = match.groups()
    missing = kind == "swap" and names.find(spec) is None
    if spec.startswith(_BLOCK_SPECS) and (missing or (kind != "swap" and not is_system(_unescape(point)))):
        gap3, options = gap3 or " ", _with_nofail(options)
    return "".join(
        [indent, names.stable(spec) or spec, gap1, point, gap2, kind, gap3 or "", options or "", rest]
    )


def _with_nofail(options: str | None) -> str:
    present = (options or "defaults").split(",")
    return ",".join(present if _NOT_MOUNTED & set(present) else [*present, "nofail"])


def _edit_crypt_line(line: str, names: DeviceNames) -> str:
    match = _CRYPT_FIELDS.fullmatch(line)
    if match is None or match[2].startswith("#"):
        return line
    indent, name, gap, spec, rest = match.groups()
    return f"{indent}{name}{gap}{names.stable(spec) or spec}{rest}"


def _unescape(field: str) -> str:
    """fstab writes blanks as octal numbers: \\040"""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
