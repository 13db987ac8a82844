"""What a command has to wait for before it does anything."""

import subprocess
import sys

ENGINE_AND_API = ("dbos", "starlette", "uvicorn")


def test_a_command_does_not_load_what_only_a_control_plane_needs() -> None:
    loads = f"import sys, rehost.cli.app; print([name for name in {ENGINE_AND_API!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
