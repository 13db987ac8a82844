"""The receiver as a child of `rehost serve`: started, watched, started again when it dies."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from rehost.cli.receive import command
from rehost.core.errors import DataFolderError

START_SECONDS = 30.0  # until a new receiver listens
PAUSE = 0.2  # seconds before a receiver that died is started again, doubled each time
LONGEST_PAUSE = 5.0
STOP_SECONDS = 10.0  # for a receiver to end by itself

_log = logging.getLogger(__name__)


class ReceiverChild:
    """One thread makes all starts and lives as long as the child may: the kernel ends the child with it."""

    def __init__(self, data: Path, listen: str, volumes: Path, bandwidth: int = 0) -> None:
        """`bandwidth`: KB/s that all runs share, 0 for no limit."""
        self._bandwidth = bandwidth
        self._data = data
        self._volumes = volumes
        self._listen = listen
        self._port: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._listening = threading.Event()
        self._given_up = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="receiver", daemon=True)

    def start(self) -> None:
        """Return when it listens; DataFolderError with its own words when it does not."""
        self._thread.start()
        if not self._listening.wait(START_SECONDS) or self._given_up:
            self.close()
            raise DataFolderError(
                f"the receiver does not listen on {self._listen}: {self._last_words()}",
                "choose another place with --receive-listen, or end what holds it",
            )

    @property
    def port(self) -> int | None:
        """Where it listens; None while it does not."""
        return self._port

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        self._stop.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join(STOP_SECONDS)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._thread.join()

    def _watch(self) -> None:
        pause = PAUSE
        while not self._stop.is_set():
            lived = self._live_once()
            if self._stop.is_set() or not (self._ever_listened() or self._was_killed()):
                break
            pause = PAUSE if lived else min(pause * 2, LONGEST_PAUSE)
            _log.error("the receiver ended (%s); starting it again in %.1f s", self._last_words(), pause)
            self._stop.wait(pause)
        self._given_up = True
        self._listening.set()

    def _live_once(self) -> bool:
        """From start to end of one child; whether it came to listen."""
        with self._errors().open("w") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *command(self._data, self._listen, os.getpid(), self._volumes, self._bandwidth),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # a terminal's Ctrl-C is for us; we end the child in our time
            )
        with self._process as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line:
                self._port = int(json.loads(line)["port"])
                self._listening.set()
            process.wait()
        self._port = None
        return bool(line)

    def _ever_listened(self) -> bool:
        return self._listening.is_set()

    def _was_killed(self) -> bool:
        """It did not end because of what it found, and may listen the next time."""
        return self._process is not None and self._process.returncode < 0

    def _errors(self) -> Path:
        return self._data / "logs" / "receiver.err"

    def _last_words(self) -> str:
        lines = self._errors().read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
