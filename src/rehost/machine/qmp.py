"""QMP for code that is not asynchronous: one connection with a private event loop."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Self

from qemu.qmp import ExecuteError, QMPClient, QMPError, Runstate

from rehost.core.errors import MachineError

TIMEOUT = 30.0  # seconds for one command; a loaded, emulated machine answers within a few
QUIT_TIMEOUT = 5.0


class Qmp:
    """A session with one QEMU; use it from one thread at a time, outside of any running event loop."""

    def __init__(self, socket: Path, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient(socket.parent.name)
        try:
            self._run(self._client.connect(str(socket)))
        except MachineError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, command: str, **arguments: Any) -> Any:
        """The answer of a QMP command; MachineError if QEMU refuses it, is gone, or does not answer."""
        return self._run(self._client.execute(command, arguments or None), command)

    def screenshot(self, file: Path) -> None:
        """What the machine's screen shows, as PNG."""
        self.execute("screendump", filename=str(file), format="png")

    def press_power(self) -> None:
        """Ask the guest to shut down, as the power button does."""
        self.execute("system_powerdown")

    def quit(self) -> None:
        """End QEMU without telling the guest; a QEMU that hangs is not waited for long."""
        self._run(self._client.execute("quit"), "quit", QUIT_TIMEOUT)

    def close(self) -> None:
        if self._loop.is_closed():
            return
        with contextlib.suppress(QMPError, TimeoutError, OSError, EOFError):  # QEMU is gone already
            if self._client.runstate is not Runstate.IDLE:
                self._loop.run_until_complete(asyncio.wait_for(self._client.disconnect(), self._timeout))
        self._loop.close()

    def _run(self, work: Any, command: str = "connect", timeout: float | None = None) -> Any:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, timeout or self._timeout))
        except ExecuteError as error:
            raise MachineError(f"QEMU refused the command {command}: {error}") from error
        except (QMPError, TimeoutError, OSError, EOFError) as error:
            raise MachineError(
                f"QEMU did not answer to {command}: {error or type(error).__name__}"
            ) from error
