"""What a conversion found and changed, as values; JSON by msgspec."""

from dataclasses import dataclass, field

from rehost.convert.guest.job import GuestSystem
from rehost.convert.guest.tree import Change, Content

__all__ = ["Change", "Content", "ConversionReport", "GuestSystem"]


@dataclass(frozen=True, slots=True)
class ConversionReport:
    system: GuestSystem
    changes: tuple[Change, ...]
    packages: tuple[str, ...] = ()  # installed into the guest: name and version
    notes: tuple[str, ...] = ()  # what a person should know
    seconds: dict[str, float] = field(default_factory=dict)  # per step, as the helper VM measured them
    total_seconds: float = 0.0  # of the host's clock, the helper VM's boot included
    log: str = ""  # path of the helper VM's console
