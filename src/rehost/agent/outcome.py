"""The end of the last run, kept until the control plane has it and while it is still assigned.

Written before it is sent, so that an agent that is killed in between neither loses the result nor copies
again. Never written inside a freeze: `carry_out` has thawed everything when it returns.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from rehost.block import durable
from rehost.core.agentapi import Result

_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    result: Result
    delivered: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.result.run, self.result.generation


def load(state: Path) -> Outcome | None:
    """None when there is none; a file of another version counts as none: the run is carried out again."""
    try:
        return msgspec.json.decode((state / _FILE).read_bytes(), type=Outcome)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def save(state: Path, outcome: Outcome) -> None:
    durable.write_file(state / _FILE, msgspec.json.encode(outcome), 0o600)
