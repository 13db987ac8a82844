"""/etc/rehost/agent.toml: what the owner of the source server allows, whatever a job asks for."""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

from rehost.core.agentapi import RunOptions
from rehost.core.bandwidth import Window
from rehost.core.errors import InvalidValueError

PATH = Path("/etc/rehost/agent.toml")

_Seconds = Annotated[float, msgspec.Meta(ge=1)]
_AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None: the job decides."""

    freeze_deadline: _Seconds | None = None  # seconds for which file systems may be frozen at most
    most_rounds: _AtLeastOne | None = None
    bandwidth_limit: _AtLeastOne | None = None  # KB/s, at any time of the day
    hook_timeout: _Seconds = 30.0  # seconds for each script in hooks.d
    hooks_timeout: _Seconds = 120.0  # seconds for all of one stage together

    def applied(self, options: RunOptions) -> RunOptions:
        """The stricter of both, of each option."""
        return replace(
            options,
            freeze_deadline=min(options.freeze_deadline, self.freeze_deadline or options.freeze_deadline),
            most_rounds=min(options.most_rounds, self.most_rounds or options.most_rounds),
            bandwidth_limit=self._slower(options.bandwidth_limit),
            bandwidth_schedule=tuple(
                Window(window.start, window.end, self._slower(window.limit))
                for window in options.bandwidth_schedule
            ),
        )

    def said(self, options: RunOptions) -> Iterator[str]:
        """Which of a job's options are not what holds, for people."""
        held = self.applied(options)
        for name in ("freeze_deadline", "most_rounds", "bandwidth_limit", "bandwidth_schedule"):
            if getattr(held, name) != getattr(options, name):
                own = getattr(self, name.replace("schedule", "limit"))
                yield f"{name}: at most {own:g} is allowed by the source server's owner ({PATH})"

    def _slower(self, limit: int) -> int:
        """0 is no limit, on the job's side."""
        return min(limit or self.bandwidth_limit or 0, self.bandwidth_limit or limit)


def load(path: Path = PATH) -> Config:
    """The owner's file; without it everything is as jobs ask. InvalidValueError if it cannot be understood:
    a limit that is not kept is worse than a run that fails."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Config)
    except FileNotFoundError:
        return Config()
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise InvalidValueError(
            f"{path} cannot be used: {error}",
            f"correct it on the source server; it may have {', '.join(Config.__struct_fields__)}",
        ) from error
