"""Parsers, signatures and actions hold against a fuzzer that is led by their coverage: see fuzz.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seconds", [10, pytest.param(600, marks=pytest.mark.lab)])
def test_nothing_that_is_sent_is_an_internal_error(seconds: int) -> None:
    command = [sys.executable, "-m", "tests.api.fuzz", str(seconds)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 300)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said[-5000:]
    sent = re.search(r"number_of_executed_units: ([0-9]+)", said)
    assert sent is not None
    assert int(sent[1]) > 100
