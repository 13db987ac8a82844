"""Kernel command lines, wherever they are written: device names and the serial console. Pure."""

import re

from .devices import DeviceNames, Volume, is_bound_to_hardware

SERIAL = "ttyS0"
CONSOLES = f"console=tty0 console={SERIAL},115200"

_DEVICE = re.compile(r"(?<![\w.-])(root|resume)=(/dev/[^\s\"']+|UUID=[^\s\"']+)")


def map_devices(text: str, names: DeviceNames, root: Volume) -> str:
    """root= and resume= by UUID; a resume device that is not among the copied disks would be waited for."""

    def replace(match: re.Match[str]) -> str:
        key, spec = match[1], match[2]
        if stable := names.stable(spec):
            return f"{key}={stable}"
        if key == "root":
            return f"root=UUID={root.uuid}" if is_bound_to_hardware(spec) else match[0]
        return "noresume" if is_lost(spec, names) else match[0]

    return _DEVICE.sub(replace, text)


def is_lost(spec: str, names: DeviceNames) -> bool:
    """Whether a device cannot be named on the new hardware, or is none of the copied ones."""
    if is_bound_to_hardware(spec):
        return names.stable(spec) is None
    return "=" in spec and names.find(spec) is None


def has_serial_console(text: str) -> bool:
    return re.search(rf"(?<!\w)console={SERIAL}\b", text) is not None


def with_serial_console(cmdline: str) -> str:
    """The last console= is where init writes: the serial one, which a boot check can read."""
    return cmdline if has_serial_console(cmdline) else f"{cmdline.rstrip()} {CONSOLES}".lstrip()
