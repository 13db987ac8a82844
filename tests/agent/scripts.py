"""Scripts around freezes, in folders as the agent has them."""

from pathlib import Path

from rehost.agent import hooks
from rehost.agent.hooks import Place


class Scripts:
    """A folder of hooks; each says in `log` that it ran, besides what it is to do."""

    def __init__(self, folder: Path, timeout: float = 30.0) -> None:
        self.place = Place(folder / "hooks.d", folder / "state" / hooks.DEBT, timeout, 60.0)
        self.log = folder / "ran.txt"
        self.log.touch()

    def add(self, stage: str, name: str, text: str = "", mode: int = 0o755) -> None:
        folder = self.place.folder / stage
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{stage} {name}" >>{self.log}\n{text}\n')
        path.chmod(mode)

    @property
    def ran(self) -> list[str]:
        return self.log.read_text().splitlines()
