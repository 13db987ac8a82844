"""The command line of the agent on a source server."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rehost import __version__
from rehost.core.errors import RehostError

STATE = Path("/var/lib/rehost-agent")

_DESCRIPTION = """\
The rehost agent. It runs on the server that is to be moved, tells the control plane what the server is
(disks, partitions, system) and copies its disks while the server goes on working.

First steps:
  1. on the control plane, `rehost code create` prints one line; run it on this server as root:
     it downloads this program, installs it, registers this server and starts the service
  2. `rehost-agent status` shows whether the control plane is reached and what is assigned
  3. the log is in the journal: journalctl -u rehost-agent

Nothing is compiled or changed on this server beyond /opt/rehost-agent, /usr/local/bin/rehost-agent,
/var/lib/rehost-agent and one systemd unit; `rehost-agent uninstall --purge` removes them.
"""

_EPILOG = """\
exit codes: 0 done, 1 error, 2 wrong usage, 5 a verified disk differs, 78 not registered (or the identity is
damaged)

/etc/rehost/agent.toml limits what jobs may ask for; /etc/rehost/hooks.d/pre-freeze and post-thaw hold scripts
to run around the moment in which file systems are frozen (docs/hooks.md).

environment: REHOST_AGENT_DISKS=/dev/sda,/dev/sdb is the same as --disk /dev/sda --disk /dev/sdb
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = _parser().parse_args(words)
    # Late: the parser answers --help and mistakes without loading TLS and the rest.
    from rehost.agent import commands
    from rehost.agent.install.installation import Places

    arguments.places = Places()
    if "disk" in arguments:
        arguments.disk = arguments.disk or _disks_of_environment()
    try:
        status: int = getattr(commands, arguments.command)(arguments)
    except RehostError as error:
        sys.stderr.write(f"rehost-agent: {error}\n")
        return commands.exit_code(error)
    return status


def _disks_of_environment() -> list[str]:
    return [path for path in os.environ.get("REHOST_AGENT_DISKS", "").split(",") if path]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "rehost-agent",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rehost-agent {__version__}")
    parser.add_argument(
        "--state", type=Path, default=STATE, help="folder of the identity (default: %(default)s)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_inventory(commands)
    _add_register(commands)
    _add_install(commands)
    _add(commands, "run", "work in the foreground until a signal ends it (the service does this)", disks=True)
    _add(commands, "status", "show the registration, the service, and what is assigned")
    _add_verify(commands)
    removal = _add(commands, "uninstall", "stop the service and remove the program", disks=False)
    removal.add_argument("--purge", action="store_true", help="remove the identity as well")
    return parser


_Commands = argparse._SubParsersAction  # the only name that argparse gives this type


def _add(
    commands: "_Commands[argparse.ArgumentParser]", name: str, text: str, *, disks: bool = False
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(command="show_inventory" if name == "inventory" else name)
    if disks:
        command.add_argument(
            "--disk",
            action="append",
            default=[],
            metavar="/dev/NAME",
            help="migrate this disk; repeat it for more, the system disk first (default: the one with /,"
            " then all others that are no loop, RAM, CD-ROM, LVM or removable devices)",
        )
    return command


def _add_inventory(commands: "_Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "inventory", "show what the agent finds on this server", disks=True)
    command.add_argument("--json", action="store_true", help="print what the control plane is told")


def _add_register(commands: "_Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "register", "register this server with a control plane", disks=True)
    _add_control_plane(command)
    command.add_argument("code", metavar="CODE", help="activation code (rehost code create)")


def _add_install(commands: "_Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "install", "install, register, and start the service", disks=True)
    _add_control_plane(command)
    command.add_argument("--code", default="", help="activation code; not needed when already registered")


_VERIFYING = """\
Compares the disks of this server, which should stand still (booted from a rescue system, or attached to
another server), with the digests of a run, and names the first extents that differ. Needs root, and no
control plane. Nothing is written.

File systems on ext2, ext3, ext4 and xfs are asked for their free blocks: those were not copied. One
that is not mounted is mounted for a moment, read-only and without replay of its journal. Other partitions are
compared whole, as they were copied. A file in place of a disk is compared whole; attach it (losetup
--read-only --partscan) to have it asked.

A server that went on working after the copy differs, be it only in what its shutdown wrote (superblock and
journal). Chunks are compared whole: an extent is as exact as a chunk, 256 KiB or 1 MiB.
"""


def _add_verify(commands: "_Commands[argparse.ArgumentParser]") -> None:
    command = _add(commands, "verify", "compare this server's disks, at rest, with the digests of a run")
    command.description = _VERIFYING
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument(
        "file", type=Path, metavar="FILE", help="what `rehost verify IMAGE --digests FILE` wrote"
    )
    command.add_argument(
        "--disk",
        dest="named",
        action="append",
        default=[],
        metavar="N=/dev/NAME",
        help="which disk is the run's disk N; repeat it for more, disks that are not named are left out"
        " (default: all, recognized by serial number or name)",
    )
    command.add_argument(
        "--extents", type=int, default=10, metavar="N", help="name this many extents (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_control_plane(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--endpoint", default="", metavar="URL", help="https://HOST:PORT of the control plane"
    )
    command.add_argument(
        "--ca", type=Path, metavar="FILE", help="its certificate authority (keys/ca.crt), PEM"
    )
    command.add_argument(
        "--anew", action="store_true", help="with another identity than the one that came with a cloned disk"
    )
