"""The converter port on the helper VM of this host."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehost.compute.driver import Image
from rehost.convert.conversion import convert
from rehost.core.server import Inventory


@dataclass(frozen=True, slots=True)
class HelperVmConverter:
    cache: Path  # of the helper VM and of packages for guests

    def convert(
        self, image: Image, overlays: Sequence[Path], inventory: Inventory, say: Callable[[str], None]
    ) -> object:
        """See `flow.ports.Converter`; the helper VM's console is kept in the image's folder."""
        return convert(overlays, inventory, image.mac, self.cache, image.folder / "conversion", say)
