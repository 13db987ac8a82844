"""GRUB's settings and its generated menu: root by UUID, a serial console. Pure.

grub.cfg is edited in place instead of being made again: grub-mkconfig takes 20 seconds under emulation and
looks at the disks of the machine it runs on. The settings are changed the same way, for the next time that
the guest runs it.
"""

import re

from .cmdline import CONSOLES, has_serial_console, map_devices, with_serial_console
from .devices import DeviceNames, Volume

_MARK = "# serial console added by rehost"
_MENU_BLOCK = f"""{_MARK}
insmod serial
if serial --unit=0 --speed=115200; then
  terminal_input --append serial
  terminal_output --append serial
fi
"""
_HEADER_END = "### END /etc/grub.d/00_header ###"
_LINUX = re.compile(r"^(\s*)(linux|linux16|linuxefi)(\s+)(\S+)(.*)$")
_PLAIN_VALUE = re.compile(r'^GRUB_CMDLINE_LINUX="([^"$`\\]*)"[ \t]*$', re.MULTILINE)
_TERMINAL = """GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
"""


def edit_menu(text: str, names: DeviceNames, root: Volume) -> str:
    """grub.cfg"""
    lines = [_edit_menu_line(line, names, root) for line in text.splitlines(keepends=True)]
    menu = "".join(lines)
    if _MARK in menu:
        return menu
    if _HEADER_END in menu:
        return menu.replace(_HEADER_END, _MENU_BLOCK + _HEADER_END, 1)
    return _MENU_BLOCK + menu


def edit_settings(text: str, names: DeviceNames, root: Volume) -> str:
    """/etc/default/grub"""
    text = "".join(
        line if line.lstrip().startswith("#") else map_devices(line, names, root)
        for line in text.splitlines(keepends=True)
    )
    text = re.sub(
        r"^(\s*GRUB_DISABLE_LINUX_UUID=)[\"']?(?:true|y|yes|1)[\"']?\s*$", r"\1false", text, flags=re.M
    )
    return _with_terminal(_with_console(text))


def _edit_menu_line(line: str, names: DeviceNames, root: Volume) -> str:
    body = line.rstrip("\n")
    match = _LINUX.match(body)
    if match is None:
        return line
    indent, command, gap, kernel, arguments = match.groups()
    arguments = " " + with_serial_console(map_devices(arguments, names, root)).strip()
    return f"{indent}{command}{gap}{kernel}{arguments}" + line[len(body) :]


def _with_console(text: str) -> str:
    if has_serial_console(_without_comments(text)):
        return text
    values = list(_PLAIN_VALUE.finditer(text))
    if not values:
        return _with_line(text, f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {CONSOLES}"\n')
    last = values[-1]  # the settings are a shell script: the last assignment holds
    return text[: last.start(1)] + with_serial_console(last[1]) + text[last.end(1) :]


def _with_terminal(text: str) -> str:
    if re.search(r"^\s*GRUB_TERMINAL", text, re.MULTILINE):
        return text
    return _with_line(text, _TERMINAL)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _with_line(text: str, line: str) -> str:
    return text + ("" if text.endswith("\n") or not text else "\n") + line
