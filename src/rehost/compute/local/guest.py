"""Asking a booted guest through its agent how it is."""

import time

from rehost.compute.driver import CommandResult, GuestState
from rehost.core.errors import MachineError
from rehost.machine.guestagent import Completed, GuestAgent

_COMING_UP = ("starting", "initializing", "")
_NO_SYSTEMD = "unknown"
_PATIENCE = 30.0  # seconds for one question; emulated guests are slow while they come up


def state(agent: GuestAgent, deadline: float) -> GuestState:
    """What the guest says of itself, at the latest after `deadline` seconds of waiting for its units."""
    return GuestState(
        system=_system(agent, deadline),
        failed_units=_failed_units(agent),
        mounts=_mounts(agent),
        addresses=_addresses(agent),
    )


def run_command(agent: GuestAgent, command: str, deadline: float) -> CommandResult:
    """The job's own command, by the guest's shell as root; MachineError if it does not end in time."""
    ended = agent.run(["/bin/sh", "-c", command], timeout=deadline)
    return CommandResult(command, ended.status, (ended.output + ended.error_output).decode(errors="replace"))


def _system(agent: GuestAgent, deadline: float) -> str:
    """`is-system-running --wait` would be one call, but older systemd has no --wait."""
    end = time.monotonic() + deadline
    while True:
        answer = _ask(agent, "systemctl is-system-running")
        if answer.status == 127:
            return _NO_SYSTEMD
        system = answer.output.decode(errors="replace").strip()
        if system not in _COMING_UP or time.monotonic() > end:
            return system or _NO_SYSTEMD
        time.sleep(1.0)


def _failed_units(agent: GuestAgent) -> tuple[str, ...]:
    answer = _ask(agent, "systemctl list-units --state=failed --plain --no-legend --no-pager")
    return tuple(
        line.split()[0] for line in answer.output.decode(errors="replace").splitlines() if line.strip()
    )


def _mounts(agent: GuestAgent) -> tuple[str, ...]:
    """File systems on disks only, as `<target> <source> <type>`."""
    lines = _ask(agent, "cat /proc/self/mounts").output.decode(errors="replace").splitlines()
    fields = [line.split() for line in lines]
    return tuple(f"{field[1]} {field[0]} {field[2]}" for field in fields if field[0].startswith("/dev/"))


def _addresses(agent: GuestAgent) -> tuple[str, ...]:
    interfaces = agent.call("guest-network-get-interfaces", timeout=_PATIENCE)
    return tuple(
        f"{interface['name']} {address['ip-address']}/{address['prefix']}"
        for interface in interfaces
        if interface["name"] != "lo"
        for address in interface.get("ip-addresses", ())
    )


def _ask(agent: GuestAgent, command: str) -> Completed:
    try:
        return agent.run(["/bin/sh", "-c", command], timeout=_PATIENCE)
    except MachineError as error:
        raise MachineError(
            f"the guest did not say what `{command}` gives: {error.what}", error.advice
        ) from error
