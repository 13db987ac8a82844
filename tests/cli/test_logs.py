"""What `rehost serve` writes of an error that nobody foresaw."""

import subprocess
import sys
from pathlib import Path

CODE = """
import logging, sys
from pathlib import Path
from rehost.cli import logs

logs.configure(Path(sys.argv[1]))
def fails(secret):
    raise ValueError("it broke")
try:
    fails("open-sesame"[::-1])
except ValueError:
    logging.getLogger("test").exception("a request failed")
"""


def test_tracebacks_are_logged_without_the_values_of_variables(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    for text in (done.stderr, (tmp_path / "serve.log").read_text()):
        assert "ValueError: it broke" in text
        assert "emases-nepo" not in text
