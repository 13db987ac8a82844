"""How many jobs may run at once, and which of those that wait may begin. Pure."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from rehost.core.server import Inventory

_Most = Annotated[int, Meta(ge=0)]  # 0: no limit


@dataclass(frozen=True, slots=True)
class RunningJobs:
    """How many jobs of one account, of sources in one subnet, and on one worker run at once."""

    per_account: _Most = 0
    per_subnet: _Most = 0
    per_worker: _Most = 0
    ipv4_prefix: Annotated[int, Meta(ge=0, le=32)] = 24  # bits that the addresses of one subnet share
    ipv6_prefix: Annotated[int, Meta(ge=0, le=128)] = 64

    def __bool__(self) -> bool:
        """There is a limit."""
        return bool(self.per_account or self.per_subnet or self.per_worker)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a job takes while it runs, or would take."""

    job: str
    account: str
    subnet: str = ""  # empty: not known, and not limited
    workers: tuple[str, ...] = ()  # the one that it is on; of one that waits, all that it may be placed on


@dataclass(frozen=True, slots=True)
class _Place:
    what: str
    most: int


def reasons(limits: RunningJobs, running: Iterable[Claim], waiting: Sequence[Claim]) -> dict[str, str]:
    """Why each job that waits cannot begin now; empty: it can. The first of `waiting` is served first.

    One for whom there is no room does not keep those back that take it from nobody. Of several workers a job
    takes the one that has the fewest then, as the placement does, and of these the first.
    """
    taken: Counter[_Place] = Counter()
    for claim in running:
        taken.update(_places(limits, claim, taken))
    found = {}
    for claim in waiting:
        places = _places(limits, claim, taken)
        full = next((place for place in places if taken[place] >= place.most), None)
        found[claim.job] = "" if full is None else _words(full)
        if full is None:
            taken.update(places)
    return found


def subnet_of(inventory: Inventory | None, limits: RunningJobs) -> str:
    """Of the first address by which others can reach the source; empty if there is none."""
    for card in inventory.interfaces if inventory else ():
        for text in card.addresses:
            address = ipaddress.ip_interface(text).ip
            if address.is_loopback or address.is_link_local:
                continue
            prefix = limits.ipv4_prefix if address.version == 4 else limits.ipv6_prefix
            return str(ipaddress.ip_network((address, prefix), strict=False))
    return ""


def _places(limits: RunningJobs, claim: Claim, taken: Counter[_Place]) -> list[_Place]:
    workers = [_Place(f"the worker {name}".rstrip(), limits.per_worker) for name in claim.workers]
    every = (
        _Place(f"the account {claim.account}", limits.per_account),
        _Place(f"the subnet {claim.subnet}" if claim.subnet else "", limits.per_subnet),
        *sorted(workers, key=taken.__getitem__)[:1],
    )
    return [place for place in every if place.most and place.what]


def _words(full: _Place) -> str:
    jobs = "1 running job" if full.most == 1 else f"{full.most} running jobs"
    return f"{full.what} has {jobs}, as many as limits.json allows; it begins by itself when there is room"
