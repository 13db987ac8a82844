"""Looking at a machine that has booted, or failed to: its screen, its agent, the command of a job."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from rehost.compute import picture
from rehost.compute.driver import CommandResult, GuestState
from rehost.compute.local import guest
from rehost.core.errors import MachineError
from rehost.machine.guestagent import GuestAgent
from rehost.machine.process import RunningMachine

SCREEN = "screen.png"
AGENT_GRACE = 30.0  # seconds after the login prompt in which a guest agent shows up if there is one
AGENT_NEEDED = 90.0  # the same when there is a command for it
SCREEN_PATIENCE = 10.0  # seconds in which the screen shows something if it ever does


@dataclass(frozen=True, slots=True)
class Examined:
    guest: GuestState | None = None
    guest_problem: str = ""  # why there is no state, or no result of the command
    command: CommandResult | None = None
    screenshot: str = ""
    screen_black: bool = False


def examine(running: RunningMachine, folder: Path, command: str, seconds: float) -> Examined:
    """A guest at its login prompt; questions and command together take about `seconds` at most.

    The picture is taken when the guest has come up, before the command can change what is on it.
    """
    end = time.monotonic() + seconds
    with running.guest_agent() as agent:
        state, problem = _state(agent, AGENT_NEEDED if command else AGENT_GRACE, seconds)
        examined = replace(photograph(running, folder), guest=state, guest_problem=problem)
        if state is None or not command:
            return examined
        try:
            result = guest.run_command(agent, command, max(end - time.monotonic(), 1.0))
        except MachineError as error:
            return replace(examined, guest_problem=str(error))
        return replace(examined, command=result)


def photograph(running: RunningMachine, folder: Path) -> Examined:
    """Only the screen, woken up if it sleeps."""
    end = time.monotonic() + SCREEN_PATIENCE
    while running.running():
        running.qmp.screenshot(folder / SCREEN)
        black = picture.is_black((folder / SCREEN).read_bytes())
        if not black or time.monotonic() > end:
            return Examined(screenshot=SCREEN, screen_black=black)
        running.qmp.execute("send-key", keys=[{"type": "qcode", "data": "shift"}])
        time.sleep(1.0)
    return Examined()


def _state(agent: GuestAgent, grace: float, seconds: float) -> tuple[GuestState | None, str]:
    """The guest's state, or why it is not known: an agent may be absent, or forbid to run programs."""
    try:
        if not agent.wait(grace):
            return None, f"no guest agent answered within {grace:.0f} s after the login prompt"
        return guest.state(agent, seconds), ""
    except MachineError as error:
        return None, str(error)
