"""What a run needs of the world, as protocols; the composition root hands in the real things."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rehost.compute.driver import Image, VolumeSpec
from rehost.core.server import Inventory


@dataclass(frozen=True, slots=True)
class Leave:
    """What an agent needs to write one run's volumes."""

    ticket: str
    host: str  # empty: the control plane's host as the agent knows it
    port: int


class Door(Protocol):
    """The entry to the data plane."""

    def leave(
        self, job: str, run: str, generation: int, volumes: Sequence[VolumeSpec], *, checksum: bool
    ) -> Leave:
        """A signed ticket for one generation of a run, and where to go with it."""

    def here(self) -> tuple[str, int] | None:
        """Host and port of the entry as of now; None while it is not open."""


class Converter(Protocol):
    """Makes the overlays of an image boot on its new hardware."""

    def convert(
        self, image: Image, overlays: Sequence[Path], inventory: Inventory, say: Callable[[str], None]
    ) -> object:
        """Change the overlays and say what was changed.

        The inventory is of the time of the copy, with the copied disks only, in the overlays' order. `say` is
        told what is being done.
        The report is a dataclass that JSON can hold. ConversionError when the guest cannot be converted,
        MachineError when the conversion's own machine failed.
        """
