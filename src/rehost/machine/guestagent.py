"""A client of qemu-guest-agent over its unix socket: JSON lines, commands one after the other."""

import base64
import itertools
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rehost.core.errors import MachineError

_DELIMITER = b"\xff"  # the agent writes it before the answer to guest-sync-delimited: what came before is old


@dataclass(frozen=True, slots=True)
class Completed:
    """The end of a program in the guest; a program ended by a signal has the status 128 + signal."""

    status: int
    output: bytes  # stdout
    error_output: bytes  # stderr


class GuestAgent:
    """One session; not to be shared by threads. `wait` first: the agent may not run yet."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._received = bytearray()
        self._numbers = itertools.count(time.time_ns() & 0xFFFFFFFF)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise MachineError(f"no channel to the guest's agent: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def wait(self, timeout: float) -> bool:
        """True as soon as the agent answers, False if it does not within `timeout` seconds.

        Raises MachineError when the machine is gone.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if self._synchronize(min(left, 5.0)):
                return True
        return False

    def call(self, command: str, timeout: float = 30.0, **arguments: Any) -> Any:
        """The answer to one command; MachineError if the agent refuses it or is silent."""
        deadline = time.monotonic() + timeout
        self._send({"execute": command, **({"arguments": arguments} if arguments else {})}, deadline)
        while (answer := self._answer(deadline)) is not None:
            if "error" in answer:
                raise MachineError(f"the guest's agent refused {command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
        raise MachineError(f"the guest's agent did not answer to {command} within {timeout:.0f} s")

    def run(self, argv: Sequence[str], timeout: float = 60.0, stdin: bytes = b"") -> Completed:
        """Run a program in the guest and wait for its end; a missing program is a MachineError."""
        deadline = time.monotonic() + timeout
        arguments: dict[str, Any] = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        if stdin:
            arguments["input-data"] = base64.b64encode(stdin).decode()
        pid = self.call("guest-exec", **arguments)["pid"]
        while not (state := self.call("guest-exec-status", pid=pid))["exited"]:
            if time.monotonic() > deadline:
                raise MachineError(f"{argv[0]} in the guest did not end within {timeout:.0f} s")
            time.sleep(0.1)
        status = state["exitcode"] if "exitcode" in state else 128 + state.get("signal", 0)
        decoded = (base64.b64decode(state.get(key, "")) for key in ("out-data", "err-data"))
        return Completed(status, *decoded)

    def _synchronize(self, timeout: float) -> bool:
        number, deadline = next(self._numbers), time.monotonic() + timeout
        self._send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, deadline)
        while (answer := self._answer(deadline)) is not None:
            if answer.get("return") == number:
                return True
        return False

    def _send(self, message: dict[str, Any], deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise MachineError(f"the channel to the guest's agent broke: {error}") from error

    def _answer(self, deadline: float) -> dict[str, Any] | None:
        """The next whole answer, None at the deadline."""
        while True:
            line, newline, rest = self._received.partition(b"\n")
            if newline:
                self._received = rest
                answer = _decode(line.rpartition(_DELIMITER)[2])
                if answer is not None:
                    return answer
            elif not self._receive(deadline):
                return None

    def _receive(self, deadline: float) -> bool:
        if (left := deadline - time.monotonic()) <= 0:
            return False
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return False
        except OSError as error:
            raise MachineError(f"the channel to the guest's agent broke: {error}") from error
        if not data:
            raise MachineError("the virtual machine ended while its agent was asked")
        self._received += data
        return True


def _decode(line: bytes | bytearray) -> dict[str, Any] | None:
    """An answer, or None for the remains of one that an earlier session did not read."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
