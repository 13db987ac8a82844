"""`rehost image boot` with a guest that really runs."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rehost.compute.local import LocalDriver
from tests.compute import tinyguest
from tests.compute.replicas import sealed
from tests.compute.tinyguest import MARKER

pytestmark = pytest.mark.vm

REHOST = [sys.executable, "-m", "rehost.cli.main", "image", "boot", "m-1"]
PATIENCE = 120.0  # seconds for a guest of a few


@pytest.fixture
def data(tmp_path: Path, cache: Path) -> Path:
    """An image whose guest gives itself an address of its own choice."""
    disk = tinyguest.build(cache).disk(tmp_path / "tiny.raw", address="192.168.77.9/24")
    driver = LocalDriver(tmp_path / "data")
    sealed(driver, "j-1", disk.read_bytes())
    driver.create_image("m-1", "j-1", "tiny")
    driver.finish_image("m-1")
    return tmp_path / "data"


def test_ports_of_a_guest_with_a_fixed_address_are_reached_and_its_screen_is_shown(data: Path) -> None:
    options = ["--ssh-port", "0", "--address", "192.168.77.9/24", "--vnc", str(_free_display()), "--json"]
    with subprocess.Popen([*REHOST, "--data", data, *options], stdout=subprocess.PIPE) as process:
        try:
            told = _json_object(process)
            assert told["image"] == "m-1"
            assert _answer(told["ssh_port"]) == MARKER
            with socket.create_connection(("127.0.0.1", 5900 + told["vnc_display"]), 10) as screen:
                assert screen.recv(4) == b"RFB "
        finally:
            process.send_signal(signal.SIGTERM)
    assert _soon(lambda: not Path(f"/proc/{told['pid']}").exists())


def test_the_console_is_on_the_terminal_and_ctrl_a_x_ends_it(data: Path) -> None:
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [*REHOST, "--data", data], stdin=other_end, stdout=other_end, stderr=other_end
    ) as process:
        os.close(other_end)
        seen = _read_until(terminal, b"tiny login:")
        assert b"Ctrl-A X ends it" in seen
        os.write(terminal, b"\x01x")
        assert process.wait(30) == 0
    os.close(terminal)


def test_a_port_that_is_taken_is_an_error(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = ["--ssh-port", str(taken.getsockname()[1])]
        ended = subprocess.run([*REHOST, "--data", data, *options], capture_output=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert b"did not start" in ended.stderr
    assert b"--ssh-port" in ended.stderr


def _json_object(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == b"}\n":
            break
    found: dict[str, Any] = json.loads(b"".join(lines))
    return found


def _answer(port: int) -> bytes:
    """What the guest's server says, as soon as it is there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=5) as response:
                content: bytes = response.read()
            return content
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _read_until(terminal: int, wanted: bytes) -> bytes:
    deadline, seen = time.monotonic() + PATIENCE, b""
    while wanted not in seen and time.monotonic() < deadline:
        seen += os.read(terminal, 4096)
    assert wanted in seen
    return seen


def _free_display() -> int:
    for display in range(40, 90):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 5900 + display)) != 0:
                return display
    raise AssertionError("no free display")


def _soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()
