"""What a storm strikes, how, and for how long: chance with a seed, and nothing else."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    SERVER = "server"
    WORKER = "worker"
    AGENT = "agent"
    DATABASE = "database"


HOSTS = (Role.SERVER, Role.WORKER)


class Blow(StrEnum):
    HOST = "host"  # all processes of a host are killed
    PROCESS = "process"  # its first process is killed, what that had started is not
    RECEIVER = "receiver"  # killed alone; its parent starts it again
    PAUSE = "pause"  # all processes of a host stand still, longer than its lease, and go on
    AGENT = "agent"  # killed, its watchdog not: it is there to outlive it
    DATABASE = "database"  # stopped as in a crash


_WEIGHTS = {
    Blow.HOST: 40,
    Blow.PROCESS: 8,
    Blow.RECEIVER: 18,
    Blow.PAUSE: 6,
    Blow.AGENT: 24,
    Blow.DATABASE: 4,
}
_STRUCK = {
    Blow.HOST: HOSTS,
    Blow.PROCESS: HOSTS,
    Blow.RECEIVER: HOSTS,
    Blow.PAUSE: HOSTS,
    Blow.AGENT: (Role.AGENT,),
    Blow.DATABASE: (Role.DATABASE,),
}
# Seconds until it is started again, or goes on. Of hosts half are back before their lease has run out.
_AWAY = {
    Blow.HOST: ((1.0, 12.0), (25.0, 50.0)),
    Blow.PROCESS: ((1.0, 12.0), (25.0, 50.0)),
    Blow.RECEIVER: ((0.0, 0.0),),
    Blow.PAUSE: ((24.0, 40.0),),
    Blow.AGENT: ((0.5, 10.0),),
    Blow.DATABASE: ((0.5, 8.0),),
}
_BETWEEN = (2.0, 10.0)  # seconds from one to the next


@dataclass(frozen=True, slots=True)
class Strike:
    blow: Blow
    victim: str  # its name
    away: float  # seconds


class Chance:
    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def wait(self) -> float:
        """Seconds until the next strike."""
        return self._dice.uniform(*_BETWEEN)

    def strike(self, up: Collection[tuple[str, Role]]) -> Strike | None:
        """At one of those that are up; None if none of them can be struck in the way that was drawn."""
        (blow,) = self._dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        victims = sorted(name for name, role in up if role in _STRUCK[blow])
        away = self._dice.uniform(*self._dice.choice(_AWAY[blow]))
        return Strike(blow, self._dice.choice(victims), away) if victims else None
