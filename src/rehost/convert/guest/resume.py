"""Where initramfs-tools looks for a hibernated system. Pure.

The copy has no hibernated system in it (of swap space only the header is copied), but an initramfs waits half
a minute for a device that is not there.
"""

import re

from .cmdline import is_lost
from .devices import DeviceNames

_SETTING = re.compile(r"^(\s*RESUME=)([\"']?)([^\"'\s#]*)\2", re.MULTILINE)


def edit(text: str, names: DeviceNames) -> str:
    """/etc/initramfs-tools/conf.d/resume: RESUME=UUID=..., or none if that device is not among the disks."""
    return _SETTING.sub(lambda match: f"{match[1]}{_value(match[3], names)}", text)


def setting(text: str, names: DeviceNames) -> str:
    """The value for inside the initramfs, from all settings together; `none` unless a swap space is named."""
    values = [match[3] for match in _SETTING.finditer(text)]
    value = _value(values[-1], names) if values else "none"
    return value if names.find(value) is not None else "none"


def _value(spec: str, names: DeviceNames) -> str:
    if spec in ("", "auto", "none") or spec.startswith("/dev/mapper/"):
        return spec
    return "none" if is_lost(spec, names) else names.stable(spec) or spec
