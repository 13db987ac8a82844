"""A running QEMU: started from a Machine, ended in any case, its error text kept."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from rehost.core.errors import MachineError
from rehost.machine.guestagent import GuestAgent
from rehost.machine.programs import find
from rehost.machine.qemu import Machine, Sockets, arguments
from rehost.machine.qmp import Qmp

START_DEADLINE = 30.0  # seconds until QEMU listens on its sockets
END_DEADLINE = 5.0  # seconds that each way of ending QEMU is given


class RunningMachine:
    """A QEMU process; a context manager that leaves nothing behind.

    The process is killed when the thread that started it ends (PR_SET_PDEATHSIG knows threads, not
    processes): start machines from threads that live as long as the machine.
    """

    def __init__(self, machine: Machine, accelerator: str) -> None:
        self.machine = machine
        self._folder = Path(
            tempfile.mkdtemp(prefix="rehost-", dir="/tmp")
        )  # a short name, whatever TMPDIR is
        self.sockets = Sockets(self._folder)
        self._qmp: Qmp | None = None
        try:
            self._process = self._start(accelerator)
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        try:
            self._qmp = self._session()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def qmp(self) -> Qmp:
        """The control session; QEMU takes only one at a time."""
        if self._qmp is None:
            raise MachineError(f"the virtual machine {self.machine.name} has no control session")
        return self._qmp

    def guest_agent(self) -> GuestAgent:
        """A new session with the guest's agent; the caller closes it."""
        return GuestAgent(self.sockets.guest_agent)

    def running(self) -> bool:
        return self._process.poll() is None

    def error_text(self) -> str:
        """What QEMU wrote to stderr so far."""
        file = self._folder / "stderr"
        return file.read_text(errors="replace").strip() if file.exists() else ""

    def wait(self, timeout: float) -> int:
        """QEMU's exit status once it has ended; MachineError when it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(
                f"the virtual machine {self.machine.name} did not end within {timeout:.0f} s"
            ) from None

    def shut_down(self, timeout: float) -> int:
        """Press the power button and wait for the guest to end; MachineError if it does not."""
        self.qmp.press_power()
        return self.wait(timeout)

    def close(self) -> None:
        """End QEMU, at once for the guest: by QMP, then SIGTERM, then SIGKILL. Can be repeated."""
        for end in (self._quit, self._process.terminate, self._process.kill):
            if self.running():
                end()
                self._ended_within(END_DEADLINE)
        self._process.wait()
        if self._qmp is not None:
            self._qmp.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, accelerator: str) -> subprocess.Popen[bytes]:
        # setpriv sets the death signal after the fork; preexec_fn could deadlock in a threaded process.
        argv = [str(find("setpriv")), "--pdeathsig", "KILL", str(find("qemu-system-x86_64"))]
        argv += arguments(self.machine, accelerator, self.sockets)
        with (self._folder / "stderr").open("wb") as stderr:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, start_new_session=True
            )

    def _session(self) -> Qmp:
        """QEMU answers on its control socket only when the whole machine is set up."""
        deadline = time.monotonic() + START_DEADLINE
        while True:
            try:
                if self.sockets.qmp.exists():
                    return Qmp(self.sockets.qmp)
            except MachineError:
                if time.monotonic() > deadline:
                    raise
            self._check_started(deadline)
            time.sleep(0.02)

    def _check_started(self, deadline: float) -> None:
        name = self.machine.name
        if self._ended_within(0):
            raise MachineError(
                f"the virtual machine {name} did not start (exit status {self._process.returncode}): "
                + self.error_text()
            )
        if time.monotonic() > deadline:
            raise MachineError(
                f"QEMU for {name} was not ready in {START_DEADLINE:.0f} s",
                "this host may be overloaded; try again",
            )

    def _quit(self) -> None:
        try:
            self.qmp.quit()
        except MachineError:
            return  # SIGTERM comes next

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def start(machine: Machine, accelerator: str) -> RunningMachine:
    """Start a machine; MachineError with QEMU's own words if it does not start."""
    return RunningMachine(machine, accelerator)
