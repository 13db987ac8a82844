"""Which machine shows the identity of a source server, and whether a second one does. Pure.

A disk that is cloned takes the agent's identity along. Three things tell two machines apart: the firmware's
UUID, the addresses of network cards where firmware tells none, and the boot id, which no two running kernels
share and which a restart changes once and for good.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from rehost.core.errors import InvalidValueError

HEADER = "Rehost-Boot"  # of each request of an agent
MOST_CARDS = 8
SEEN_AGAIN = 60.0  # seconds after which it is noted again that a clone is still there

_FORM = re.compile(r"boot=([0-9a-f-]{1,64}); product=([0-9a-f-]{0,64}); cards=([0-9a-f:,]{0,512})")


@dataclass(frozen=True, slots=True)
class Hardware:
    product: str = ""  # the firmware's UUID of the machine, in lower case; empty: it tells none
    cards: tuple[str, ...] = ()  # addresses of the physical network cards

    def differs(self, other: "Hardware") -> bool:
        """It is another machine for sure. Cards are changed, so they count only where firmware is silent."""
        if self.product and other.product:
            return self.product != other.product
        return bool(self.cards and other.cards) and not set(self.cards) & set(other.cards)

    def updated(self, now: "Hardware") -> "Hardware":
        """What is not told any more is not forgotten."""
        return Hardware(now.product or self.product, now.cards or self.cards)

    def __str__(self) -> str:
        return f"product {self.product or 'unknown'}, network cards {', '.join(self.cards) or 'unknown'}"


@dataclass(frozen=True, slots=True)
class Boot:
    """A machine from one start of its kernel to the next."""

    id: str
    hardware: Hardware

    def header(self) -> str:
        return f"boot={self.id}; product={self.hardware.product}; cards={','.join(self.hardware.cards)}"

    def __str__(self) -> str:
        return f"{self.hardware}, boot {self.id}"


def parse(header: str) -> Boot:
    """What `Boot.header` wrote; InvalidValueError for anything else."""
    found = _FORM.fullmatch(header)
    if found is None:
        raise InvalidValueError(f"{HEADER}: {header[:80]!a} is not understood", "update the agent")
    cards = tuple(card for card in found[3].split(",") if card)
    return Boot(found[1], Hardware(found[2], cards))


@dataclass(frozen=True, slots=True)
class Clone:
    """Another machine with the identity."""

    boot: Boot
    address: str  # that it asks from
    first: float  # Unix seconds, when it asked first and last
    last: float
    sure: bool  # until then it may be the source server after a restart


@dataclass(frozen=True, slots=True)
class Bearers:
    """Who shows the identity of one source server."""

    own: Boot
    clone: Clone | None = None  # the one that asked last


class Verdict(StrEnum):
    OWN = "own"  # the source server
    WAIT = "wait"  # a restart of it, unless the boot before is heard of once more
    CLONE = "clone"


def meet(
    known: Bearers | None, told: Boot, address: str, now: float, heard: float, silent: bool
) -> tuple[Bearers, Verdict]:
    """What is known after a request, and what the one who asks is.

    `heard`: when the last heartbeat of `known.own` came. `silent`: it is that long ago, that the boot before
    would have been heard of if it went on.
    """
    if known is None:
        return Bearers(told), Verdict.OWN
    if known.own.hardware.differs(told.hardware):
        return _with_clone(known, told, address, now, sure=True), Verdict.CLONE
    if told.id == known.own.id:
        return known, Verdict.OWN
    seen = known.clone if known.clone and known.clone.boot.id == told.id else None
    if seen and (seen.sure or heard > seen.first):
        return _with_clone(known, told, address, now, sure=True), Verdict.CLONE
    if not silent:
        return _with_clone(known, told, address, now, sure=False), Verdict.WAIT
    return Bearers(replace(told, hardware=known.own.hardware.updated(told.hardware))), Verdict.OWN


def _with_clone(known: Bearers, told: Boot, address: str, now: float, *, sure: bool) -> Bearers:
    seen = known.clone
    if seen is None or seen.boot.id != told.id:
        return replace(known, clone=Clone(told, address, now, now, sure))
    last = now if now - seen.last >= SEEN_AGAIN else seen.last
    return replace(known, clone=replace(seen, last=last, sure=sure))
